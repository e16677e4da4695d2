import {
  arriveForPermit,
  permitCallFailed,
  type PermitArrival,
} from "../../../objects/rate-limiter/permits/permit-borrower.ts";
import type { PermitMessage } from "../../../objects/rate-limiter/permits/permit-messages.ts";
import type { RateLimit } from "../../../schemas/index.ts";
import { GatewayError } from "../../errors.ts";
import type { Exchange } from "../../exchange.ts";
import { localShare } from "../local-buckets.ts";
import { askPermits, tellPermits } from "./permit-calls.ts";
import { holdOperation, startLocally, type HeldOperation } from "./permit-operation.ts";
import type { PermitEntry } from "./permit-table.ts";
import { passShield } from "../shield.ts";

/** What one limit said to a request. */
export interface PermitAnswer {
  readonly visit: PermitVisit;
  readonly allowed: boolean;
  /** The request as it counts; undefined when it is refused, and when its owner is silent and the limit `open`. */
  readonly held: HeldOperation | undefined;
  /** The owner did not answer, and `onError` decided. */
  readonly isDegraded: boolean;
}

/** One request at one entry of the table. */
export interface PermitVisit {
  readonly limit: RateLimit;
  readonly entry: PermitEntry;
  readonly exchange: Exchange;
  /** In ms since the epoch. */
  readonly startedAt: number;
  readonly deadlineMs: number;
}

/** A request asks so often at most: permits that are gone each time are no permits. */
const MAX_ASKS = 3;

/**
 * Gets a permit: at once where this isolate has one, else from the owner or by what another request's question brings.
 *
 * @throws GatewayError `dependency-unavailable` when the owner does not answer and the limit is `closed`.
 */
export function obtainPermit(visit: PermitVisit): PermitAnswer | Promise<PermitAnswer> {
  // From the clock, not from the start: another part may have been waited for since.
  const arrival = arriveForPermit(visit.entry.borrower, Date.now());
  return conclusion(visit, arrival) ?? obtainByCall(visit, arrival);
}

async function obtainByCall(visit: PermitVisit, first: PermitArrival): Promise<PermitAnswer> {
  const { entry, startedAt, deadlineMs } = visit;
  let arrival = first;
  let asked = 0;
  for (;;) {
    const leftMs = startedAt + deadlineMs - Date.now();
    if (arrival.kind === "ask") {
      asked += 1;
      const failure = await question(visit, arrival.message, leftMs);
      if (failure !== undefined) return withoutOwner(visit, failure.cause);
    }
    if (arrival.kind === "wait") await scheduler.wait(Math.max(0, Math.min(arrival.pollMs, leftMs)));
    const now = Date.now();
    if (leftMs <= 0 || asked === MAX_ASKS) return withoutOwner(visit, new Error("no permit came in time"));
    arrival = arriveForPermit(entry.borrower, now, false);
    const answer = conclusion(visit, arrival);
    if (answer !== undefined) return answer;
  }
}

async function question(
  { entry, exchange }: PermitVisit,
  message: PermitMessage,
  deadlineMs: number,
): Promise<{ readonly cause: unknown } | undefined> {
  try {
    await passShield(exchange.env, entry.address.client, exchange.client.network);
  } catch (error) {
    permitCallFailed(entry.borrower, message);
    throw error;
  }
  try {
    await askPermits(entry, message, exchange, deadlineMs);
    return undefined;
  } catch (cause) {
    return { cause };
  }
}

function conclusion(visit: PermitVisit, arrival: PermitArrival): PermitAnswer | undefined {
  const { entry, limit, exchange } = visit;
  if (arrival.kind === "refused") return { visit, allowed: false, held: undefined, isDegraded: false };
  if (arrival.kind !== "started") return undefined;
  if (arrival.renewal !== undefined) tellPermits(entry, arrival.renewal, exchange);
  const held = holdOperation({ entry, limit, exchange }, arrival.operation, "owner");
  return { visit, allowed: true, held, isDegraded: false };
}

/** The declared policy of a limit whose owner threw, is overloaded, left alone or too slow. */
function withoutOwner(visit: PermitVisit, cause: unknown): PermitAnswer {
  const { entry, limit, exchange } = visit;
  if (limit.onError === "closed" && !limit.shadow) {
    throw new GatewayError("dependency-unavailable", {
      detail: `The owner of the limit ${limit.name} does not answer, and without it this route stays closed.`,
      headers: { "retry-after": "1" },
      cause,
    });
  }
  if (limit.onError !== "local") return { visit, allowed: true, held: undefined, isDegraded: true };
  const { client, limit: permits, lease } = entry.borrower;
  // What is in flight under the owner's permits is part of the share: alone, an isolate would let twice the limit through.
  const share = Math.floor(permits * localShare(client)) - lease.operations.length;
  const number = startLocally(entry, Math.max(1, share), Date.now());
  if (number === undefined) return { visit, allowed: false, held: undefined, isDegraded: true };
  return { visit, allowed: true, held: holdOperation({ entry, limit, exchange }, number, "local"), isDegraded: true };
}
