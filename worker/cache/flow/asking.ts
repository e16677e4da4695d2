import type { CachePolicy, DeduplicationSettings } from "../../../schemas/index.ts";
import type { Exchange, Handler } from "../../exchange.ts";
import type { Candidate } from "../answer.ts";
import type { RequestRules } from "../request-rules.ts";
import type { KeptResponse } from "../tiers/records.ts";
import type { Shelves } from "../tiers/shelves.ts";
import type { KeyedRequest } from "./keyed-request.ts";

/** A request that what is kept doesn't answer. */
export interface Asking {
  readonly exchange: Exchange;
  readonly next: Handler;
  readonly policy: CachePolicy;
  readonly rules: RequestRules;
  readonly keyed: KeyedRequest;
  /** What is kept all the same, and may be confirmed, or bridge an outage. */
  readonly kept: KeptResponse | undefined;
  readonly candidate: Candidate | undefined;
  readonly missed: "uri-miss" | "vary-miss";
  /** What began before an unsafe request has made useless; 0: nothing. */
  readonly since: number;
  /** How it may wait for others' requests; undefined: not at all. */
  readonly flights: DeduplicationSettings | undefined;
}

/** An answer that has come from the origin, and what it was asked. */
export interface Answered {
  readonly answer: Response;
  /** Milliseconds since the epoch. */
  readonly requestedAt: number;
  /** Earlier than that where the origin has only confirmed it; absent: it has not. */
  readonly bytesRequestedAt?: number;
  readonly receivedAt: number;
  /** What would have bound the client to a target; nothing that is kept may. */
  readonly bind: ((answer: Response) => void) | undefined;
  /** Where others may have it too: whether this request is to keep it for its place. Absent: it was asked for alone, under our conditions. */
  readonly flight?: "keeper" | "reader";
}

/** The tiers for what a request asks for. */
export function shelvesOf({ exchange, policy }: Asking): Shelves {
  return { env: exchange.env, policy };
}

/** What of a request purges go by. */
export function purgeableOf({ exchange, keyed }: Asking) {
  const { host, path } = exchange.canonical;
  return { key: keyed.resource, route: exchange.route.route.id, method: "GET", host, path };
}

/** Why the origin was asked, as `Cache-Status` says it. */
export function whyOf({ kept, candidate, missed, rules }: Asking): "stale" | "request" | "uri-miss" | "vary-miss" {
  if (kept === undefined || candidate === undefined) return missed;
  return rules.isNoCache ? "request" : "stale";
}
