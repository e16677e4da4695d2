import { PERMIT_CALL_MS, endOperation, keepUp, renew } from "../../../objects/rate-limiter/permits/permit-borrower.ts";
import { end, overdue, proceed, start } from "../../../objects/rate-limiter/permits/permit-lease.ts";
import type { RateLimit } from "../../../schemas/index.ts";
import { GatewayError } from "../../errors.ts";
import type { Exchange } from "../../exchange.ts";
import { askPermits, watchIdlePermits } from "./permit-calls.ts";
import type { PermitEntry } from "./permit-table.ts";

/** A request in flight, as a limit counts it. */
export interface HeldOperation {
  /** Ends it; again changes nothing. */
  end(): void;
}

/** Whose operation it is, and under which limit. */
interface Holder {
  readonly limit: RateLimit;
  readonly entry: PermitEntry;
  readonly exchange: Exchange;
}

/** Who gave the permit: the owner, or this isolate by itself. */
export type PermitSource = "owner" | "local";

/** Two more tries a second are left of an operation's time when its permit has to be kept up. */
const KEEP_UP_MS = 5_000;
const RETRY_MS = 500;

/**
 * Watches over an operation from its start to its end: it ends with its exchange whatever happens to that, and goes on
 * counting for as long as it lasts. One whose permit cannot be kept up is cut off where its limit is `closed`; else it
 * goes on uncounted, which the log says.
 */
export function holdOperation(holder: Holder, number: number, source: PermitSource): HeldOperation {
  const { limit, entry, exchange } = holder;
  const { borrower } = entry;
  const { signal } = exchange.request;
  const { operationTimeoutMs } = borrower.terms;
  const { promise: over, resolve: letGo } = Promise.withResolvers<void>();
  const operation = { number, source };
  let keptUpAt = Date.now();
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | null = null;

  function finish(): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
    if (operation.source === "owner") endOperation(borrower, operation.number);
    else entry.local = end(entry.local, operation.number);
    watchIdlePermits(entry, exchange, Date.now());
    letGo();
  }
  function cutOff(reason: GatewayError): void {
    exchange.stop?.abort(reason);
    finish();
  }
  /** The origin may still be at work; it must not be once the permit is another's. */
  function leave(): void {
    cutOff(new GatewayError("invalid-request", { detail: "The client left before it was answered." }));
  }
  function arm(ms: number): void {
    const leftMs = keptUpAt + operationTimeoutMs - Date.now();
    timer = setTimeout(() => void check(), Math.max(0, Math.min(ms, leftMs)));
  }
  async function check(): Promise<void> {
    if (keep(Date.now())) return arm(KEEP_UP_MS);
    const leftMs = keptUpAt + operationTimeoutMs - Date.now();
    if (leftMs <= 0) return lose();
    const message = renew(borrower, Date.now());
    if (message !== undefined) {
      await askPermits(entry, message, exchange, Math.min(PERMIT_CALL_MS, leftMs)).catch(() => {});
      if (isOver) return;
      if (keep(Date.now())) return arm(KEEP_UP_MS);
    }
    arm(RETRY_MS);
  }
  function keep(now: number): boolean {
    if (operation.source === "owner" && !keepUp(borrower, operation.number, now)) return false;
    if (operation.source === "local") entry.local = proceed(entry.local, operation.number, now) ?? entry.local;
    keptUpAt = now;
    return true;
  }
  function lose(): void {
    if (limit.onError === "closed" && !limit.shadow) return cutOff(lostPermit(limit.name));
    endOperation(borrower, operation.number);
    operation.source = "local";
    operation.number = startLocally(entry, Infinity, Date.now()) ?? 0;
    exchange.notes.degraded = [...(exchange.notes.degraded ?? []), `${limit.id}: ${limit.onError}`];
    keptUpAt = Date.now();
    arm(KEEP_UP_MS);
  }

  exchange.stop ??= new AbortController();
  // A client that resets its connection ends the exchange with no more JavaScript run, unless somebody listens and waits.
  signal.addEventListener("abort", leave, { once: true });
  exchange.ctx.waitUntil(over);
  arm(KEEP_UP_MS);
  if (signal.aborted) leave();
  return { end: finish };
}

/** Starts an operation without the owner's word; undefined when `most` are in flight here so already. */
export function startLocally(entry: PermitEntry, most: number, now: number): number | undefined {
  const limitMs = entry.borrower.terms.operationTimeoutMs;
  // Each keeps itself up; one that does not has lost its request without a word.
  for (const { number } of overdue(entry.local, limitMs, now)) entry.local = end(entry.local, number);
  const { lease, operation } = start({ ...entry.local, permits: most }, now);
  entry.local = lease;
  return operation;
}

function lostPermit(name: string): GatewayError {
  return new GatewayError("dependency-unavailable", {
    detail: `The owner of the limit ${name} has not answered for too long to go on, and without it this route stays closed.`,
    headers: { "retry-after": "1" },
  });
}
