// An origin to try the gateway on: echoes messages at /echo, says a price each second at /prices, and answers the events of the
// gateway's mode "callback". Its port is the first argument, or 9000.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const server = createServer(async (request, response) => {
  const chunks = await Array.fromAsync(request);
  const said = Buffer.concat(chunks).toString();
  const { "x-sluice-event": event, "x-sluice-sequence": number } = request.headers;
  if (event === undefined) {
    response.writeHead(404, { "content-type": "text/plain" }).end("Only WebSockets and events of the gateway here.\n");
    return;
  }
  console.log(`${String(event)} ${String(number)}: ${said}`);
  // Who is not to connect gets a 401 here; what is answered to a message is a message to the client.
  response.writeHead(200, { "content-type": "text/plain;charset=utf-8" });
  response.end(event === "message" ? `you said ${said}` : "");
});

const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket, request) => {
  console.log(`a connection to ${request.url}, ${sockets.clients.size} in all`);
  socket.on("error", () => {});
  if (request.url?.startsWith("/prices")) {
    const timer = setInterval(() => socket.send(JSON.stringify({ price: 100 + Math.round(Math.random() * 9) })), 1_000);
    socket.on("close", () => clearInterval(timer));
    return;
  }
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.listen(Number(process.argv[2] ?? 9_000), "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") console.log(`http://127.0.0.1:${address.port}`);
});
