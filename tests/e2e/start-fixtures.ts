import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { type Gateway, type GatewayOptions, startGateway } from "../support/gateway.ts";
import { run, type RunningProcess } from "../support/process.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

/** Calls `clean` when the test ends, last registered first. */
export function atEnd(clean: () => unknown): void {
  cleanups.push(clean);
}

/** A fresh directory, gone when the test ends. */
export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "sluice-start-"));
  atEnd(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A gateway that is stopped when the test ends. */
export async function gatewayWith(options: GatewayOptions): Promise<Gateway> {
  const gateway = await startGateway(options);
  atEnd(() => gateway.stop());
  return gateway;
}

/** The start script as a process; killed when the test ends, if it still runs. */
export function startScript(args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningProcess {
  return killedAtEnd(run(process.execPath, ["scripts/start.ts", ...args], { env }));
}

/** `npm start -- ...`; killed when the test ends, if it still runs. */
export function npmStart(...args: readonly string[]): RunningProcess {
  return killedAtEnd(run("npm", ["start", "--", ...args]));
}

/** Waits for the line that `--json` prints, and reads it. */
export async function readyLine(script: RunningProcess): Promise<{ urls: string[]; workerdPid: number }> {
  await script.waitForOutput('{"sluice":"ready"');
  const line = script
    .stdout()
    .split("\n")
    .find((text) => text.startsWith('{"sluice":"ready"'));
  return JSON.parse(line ?? "null");
}

/** An HTTP server on loopback for as long as the test; returns its URL without a trailing slash. */
export async function origin(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error(`a TCP server has no port: ${String(address)}`);
  return `http://127.0.0.1:${address.port}`;
}

/** An origin that answers every request with 200. */
export async function helloOrigin(): Promise<string> {
  return origin((_request, response) => response.end("hello"));
}

/** A configuration that sends everything to `target`. */
export function unlimited(target: string): Record<string, unknown> {
  return { allowPrivateTargets: true, routes: [{ id: "all", prefix: "/", target }] };
}

/** The same, with so many requests in an hour and client. Only the owner decides, however busy the machine is. */
export function limited(requestsPerWindow: number, target: string): Record<string, unknown> {
  const rateLimit = { requestsPerWindow, windowSeconds: 3600, onError: "closed", deadline: "20s" };
  return { ...unlimited(target), rateLimit };
}

export function portOf(gateway: Gateway): number {
  return Number(new URL(gateway.url).port);
}

/** Whether something accepts TCP connections there. */
export async function accepts(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Polls until `wanted` is so, for at most 20 s: another process gives no event to await. */
export async function until(wanted: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await wanted())) {
    if (Date.now() > deadline) throw new Error(`still not so after 20 s: ${String(wanted)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function killedAtEnd(script: RunningProcess): RunningProcess {
  atEnd(async () => {
    script.signal("SIGKILL");
    await script.exited;
  });
  return script;
}
