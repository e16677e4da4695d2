import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import type { Proof } from "../proof.ts";
import { openSocket } from "./client.ts";
import { median } from "./measure.ts";
import type { Peer } from "./peer.ts";
import { startRelayed, type Relayed } from "./relayed.ts";

/** The limits act, and are never met. */
const HIGH = { messagesPerSecond: 10_000_000, messageBurst: 10_000_000, bytesPerSecond: "100GiB", byteBurst: "100GiB" };

/** No limits that a gate would meet. */
export const ANY_RATE = {
  fromClient: { maxMessage: "32MiB", messagesPerSecond: false, bytesPerSecond: false },
  fromUpstream: { maxMessage: "32MiB", bytesPerSecond: false },
  sessionsPerAddress: false,
};

/** Ways to an origin: none between, the least that there can be, and ours. */
export const MODES = ["direct", "raw-splice", "splice", "raw-pump", "bridge", "held"] as const;
/** One of them. */
export type Mode = (typeof MODES)[number];

interface Ways {
  readonly gateway: Pick<Relayed["gateway"], "url">;
  readonly origin: Pick<Relayed["origin"], "url">;
}

/** A gateway with a route for each of ours, in front of an origin in this process, or of `target`. */
export function start(entry?: string, target?: string): Promise<Relayed> {
  const high = { fromClient: HIGH, fromUpstream: HIGH, sessionsPerAddress: false };
  const usual = { mode: "bridge", sessionsPerAddress: false };
  return startRelayed(
    { splice: true, bridge: { mode: "bridge", ...high }, held: { mode: "held", ...high }, usual },
    {},
    entry,
    target,
  );
}

/** Opens a session with an echo; one that is held can be resumed. */
export function open({ gateway, origin }: Ways, mode: Mode): Promise<Peer> {
  if (mode === "direct") return openSocket(origin.url, { path: "/echo" });
  const headers = { "X-Test-Upstream": `${origin.url}/echo` };
  if (mode.startsWith("raw")) return openSocket(gateway.url, { path: `/${mode}`, headers });
  const query = mode === "held" ? `?_ws_session=${randomBytes(16).toString("base64url")}` : "";
  return openSocket(gateway.url, { path: `/${mode}/echo${query}` });
}

/** A figure that must not be larger. */
export function below(promise: string, bound: number, figure: number, more: string): Proof {
  const digits = figure >= 10 || Number.isInteger(figure) ? 0 : 2;
  return { promise, bound: `<= ${bound}`, figure: figure.toFixed(digits) + more, pass: figure <= bound };
}

/** A figure that must not be smaller. */
export function above(promise: string, bound: number, figure: number, perSecond: readonly number[]): Proof {
  const told = `${figure.toFixed(2)}; ${median(perSecond).toFixed(0)} a second`;
  return { promise, bound: `>= ${bound}`, figure: told, pass: figure >= bound };
}

/** What must hold of each of some things: how many it holds of, and the names of those that it does not. */
export function each(promise: string, total: number, failed: readonly string[]): Proof {
  const names = failed.length === 0 ? "" : `; not ${failed.slice(0, 8).join(", ")}${failed.length > 8 ? ", ..." : ""}`;
  return {
    promise,
    bound: `${total} of ${total}`,
    figure: `${total - failed.length} of ${total}${names}`,
    pass: total > 0 && failed.length === 0,
  };
}

/** How long sessions were without a connection, in ms. */
export function resumeTimes(what: string, taken: readonly number[]): Proof {
  const sorted = taken.toSorted((one, other) => one - other);
  const at = (part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
  return below(
    `${what}: from a loss until the session goes on, p99 in ms`,
    25,
    at(0.99),
    `; p50 ${at(0.5).toFixed(1)}, of ${sorted.length}`,
  );
}

/** For what should take seconds on a quiet machine. */
const PATIENCE_MS = 60_000;

/** What `work` comes to; rejects where that takes longer, so that what never comes is a failed row and not a gate that hangs. */
export async function within<T>(what: string, work: Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patienceMs} ms for ${what}`)), patienceMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The rows of `work`; a failed one, named `promise`, where it throws or takes longer than `patienceMs`. */
export async function rows(
  promise: string,
  work: () => Promise<readonly Proof[]>,
  patienceMs?: number,
): Promise<readonly Proof[]> {
  try {
    return await within(promise, work(), patienceMs);
  } catch (error) {
    console.error(error);
    const [figure = ""] = (error instanceof Error ? error.message : inspect(error)).split("\n");
    return [{ promise, bound: "it is measured", figure, pass: false }];
  }
}

/** Rows of both modes that relay to an origin of their own for each client. */
export const RELAYS = ["splice", "bridge"] as const;
