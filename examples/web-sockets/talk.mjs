// Says what is typed, a message a line, and prints what comes: talk.mjs ws://127.0.0.1:8787/live
// With "resumable" behind the URL it comes back to its session, as a route that is held lets it.
import { createInterface } from "node:readline";
import { ResumableWebSocket } from "../../clients/websocket/resumable-web-socket.ts";

const [url = "ws://127.0.0.1:8787/live", kind] = process.argv.slice(2);
const socket = kind === "resumable" ? new ResumableWebSocket(url, [], { control: true }) : new WebSocket(url);

for (const name of ["open", "reconnecting", "resumed", "restarted", "lost"]) {
  socket.addEventListener(name, () => console.log(`(${name})`));
}
socket.addEventListener("message", ({ data }) => console.log(data));
socket.addEventListener("close", ({ code, reason }) => {
  console.log(`(closed: ${code} ${reason})`);
  process.exit();
});

socket.addEventListener(
  "open",
  () => {
    const lines = createInterface({ input: process.stdin });
    lines.on("line", (line) => socket.send(line));
    lines.on("close", () => socket.close(1000));
  },
  { once: true },
);
