import { createServer } from "node:net";

/**
 * The fast origin, a process of its own: answers every GET with the same 512-byte JSON document from a prepared buffer,
 * over keep-alive connections. It reads no more of a request than its end, so that it is never what limits a subject.
 */
const body = JSON.stringify({
  id: "ord_7f3a9c21",
  status: "shipped",
  customer: { id: "cus_1182", name: "Ada Lovelace", country: "GB" },
  items: Array.from({ length: 5 }, (_, index) => ({ sku: `SKU-${1000 + index}`, quantity: index + 1, price: 1999 })),
  note: "",
}).padEnd(512, " ");

const answer = answerOf("Cache-Control: private, max-age=0", "Vary: Accept-Encoding");
/** For whoever asks below `/kept`. */
const keptAnswer = answerOf("Cache-Control: public, max-age=86400");

function answerOf(...fields: readonly string[]): Buffer {
  return Buffer.from(
    [
      "HTTP/1.1 200 OK",
      "Content-Type: application/json; charset=utf-8",
      `Content-Length: ${Buffer.byteLength(body)}`,
      `Date: ${new Date().toUTCString()}`,
      'ETag: "7f3a9c21"',
      "Server: bench-origin",
      ...fields,
      "",
      body,
    ].join("\r\n"),
  );
}

const server = createServer({ noDelay: true }, (socket) => {
  let pending = "";
  socket.on("data", (chunk) => {
    pending = pending === "" ? chunk.toString("latin1") : pending + chunk.toString("latin1");
    if (!pending.endsWith("\r\n\r\n")) return;
    const isKept = pending.startsWith("GET /kept");
    pending = "";
    socket.write(isKept ? keptAnswer : answer);
  });
  socket.on("error", () => socket.destroy());
});

server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  process.send?.({ port: address.port });
});
process.on("disconnect", () => process.exit(0));
