import { startLocal } from "../../scripts/local/start-local.ts";

/** The gateway as `npm start` runs it, in a process of its own that is counted as part of it: it handles the log lines. */
const runtime = await startLocal({
  stateDirectory: process.env["STATE"] ?? "",
  privateNetwork: true,
  variables: JSON.parse(process.env["VARIABLES"] ?? "{}"),
});
process.send?.({ port: Number(new URL(runtime.urls[0] ?? "").port), pids: [runtime.pid()] });
process.on("disconnect", () => void runtime.stop().then(() => process.exit(0)));
