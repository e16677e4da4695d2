import type { Proof } from "../proof.ts";
import { openSocket } from "./client.ts";
import { median } from "./measure.ts";
import type { Peer } from "./peer.ts";
import { startRelayed, type Relayed } from "./relayed.ts";

/** The limits act, and are never met. */
const HIGH = { messagesPerSecond: 10_000_000, messageBurst: 10_000_000, bytesPerSecond: "100GiB", byteBurst: "100GiB" };

/** Ways to an origin: none between, the least that there can be, and ours. */
export const MODES = ["direct", "raw-splice", "splice", "raw-pump", "bridge"] as const;
/** One of them. */
export type Mode = (typeof MODES)[number];

/** A gateway with a route for each of ours. */
export function start(entry?: string): Promise<Relayed> {
  const bridge = { mode: "bridge", fromClient: HIGH, fromUpstream: HIGH, sessionsPerAddress: false };
  return startRelayed({ splice: true, bridge, usual: { mode: "bridge", sessionsPerAddress: false } }, {}, entry);
}

/** Opens a session with an echo. */
export function open({ gateway, origin }: Relayed, mode: Mode): Promise<Peer> {
  if (mode === "direct") return openSocket(origin.url, { path: "/echo" });
  const headers = { "X-Test-Upstream": `${origin.url}/echo` };
  return openSocket(gateway.url, mode.startsWith("raw") ? { path: `/${mode}`, headers } : { path: `/${mode}/echo` });
}

/** A figure that must not be larger. */
export function below(promise: string, bound: number, figure: number, more: string): Proof {
  return { promise, bound: `<= ${bound}`, figure: figure.toFixed(figure < 10 ? 2 : 0) + more, pass: figure <= bound };
}

/** A figure that must not be smaller. */
export function above(promise: string, bound: number, figure: number, perSecond: readonly number[]): Proof {
  const told = `${figure.toFixed(2)}; ${median(perSecond).toFixed(0)} a second`;
  return { promise, bound: `>= ${bound}`, figure: told, pass: figure >= bound };
}
