import { WebSocketOrigin } from "./origin.ts";

// An origin of WebSockets that is a process of its own, as origins are: it says where it listens, and ends with its parent.
const origin = await WebSocketOrigin.start();
process.on("disconnect", () => process.exit(0));
process.send?.({ port: Number(new URL(origin.url).port) });
