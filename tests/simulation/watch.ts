import type { BorrowedLimit } from "../../objects/rate-limiter/leases/borrower.ts";
import { LEASE_RULES, MAX_TTL_MS } from "../../objects/rate-limiter/leases/lease-rules.ts";
import { windowAt } from "../../objects/rate-limiter/algorithms/time-window.ts";
import { ShadowBucket } from "./checker.ts";
import { OWNER_EPOCH } from "./virtual-clock.ts";

/** One promise, watched from outside: it knows every admission and nothing of leases. */
interface Counter {
  /** Tokens above the promise in the worst interval so far. */
  readonly worstDeficit: number;
  admit(tokens: number, now: number): void;
}

/** Under which limit, and since when; `held`: tokens on leases of before, which may still be spent for a while. */
interface Epoch {
  readonly limit: BorrowedLimit;
  readonly since: number;
  readonly held: number;
}

const LEASE_MS = MAX_TTL_MS + LEASE_RULES.guardMs;

/** The promise of a policy's algorithm through changes of its limit. */
export class Watch {
  #worst = 0;
  #counter: Counter;

  constructor(limit: BorrowedLimit) {
    this.#counter = isBucket(limit) ? new ShadowBucket(limit) : countWindows({ limit, since: -Infinity, held: 0 });
  }

  /** Tokens above the promise in the worst interval of the run. */
  get worstDeficit(): number {
    return Math.max(this.#worst, this.#counter.worstDeficit);
  }

  /** Records an admission. */
  admit(tokens: number, now: number): void {
    this.#counter.admit(tokens, now);
  }

  /** A new limit is in force. A change never grants: not to a bucket, and windows count from here on. */
  change(limit: BorrowedLimit, held: number, now: number): void {
    this.#worst = this.worstDeficit;
    if (this.#counter instanceof ShadowBucket && isBucket(limit)) {
      this.#counter.change(limit, held, now);
      return;
    }
    // The algorithm of before says nothing about buckets: they begin with what is still on lease.
    if (isBucket(limit)) {
      const bucket = new ShadowBucket(limit, held, now);
      bucket.change(limit, held, now);
      this.#counter = bucket;
      return;
    }
    this.#counter = countWindows({ limit, since: now, held });
  }
}

function isBucket({ algorithm = "token-bucket" }: BorrowedLimit): boolean {
  return algorithm === "token-bucket";
}

/** Counts true windows: those that slide, of which an approximate one holds twice its limit at most, or those of the clock. */
function countWindows(epoch: Epoch): Counter {
  const { algorithm, windowMs, calendar } = epoch.limit;
  if (algorithm === "sliding-window") return countTrailing(epoch, 1);
  if (algorithm === "approximate-sliding-window") return countTrailing(epoch, 2);
  const rule =
    calendar === undefined ? ({ kind: "fixed", windowMs } as const) : ({ kind: "calendar", ...calendar } as const);
  let begin = -Infinity;
  let sum = 0;
  const counter = { worstDeficit: 0, admit };
  function admit(tokens: number, now: number): void {
    const { id } = windowAt(rule, OWNER_EPOCH + now);
    if (id - OWNER_EPOCH !== begin) sum = 0;
    begin = id - OWNER_EPOCH;
    sum += tokens;
    counter.worstDeficit = Math.max(counter.worstDeficit, sum - mostFrom(begin, epoch, 1));
  }
  return counter;
}

function countTrailing(epoch: Epoch, factor: number): Counter {
  const passed: { readonly at: number; readonly tokens: number }[] = [];
  let first = 0;
  let sum = 0;
  const counter = { worstDeficit: 0, admit };
  function admit(tokens: number, now: number): void {
    passed.push({ at: now, tokens });
    sum += tokens;
    const begin = now - epoch.limit.windowMs;
    for (let oldest = passed[first]; oldest !== undefined && oldest.at < begin; oldest = passed[first]) {
      sum -= oldest.tokens;
      first += 1;
    }
    counter.worstDeficit = Math.max(counter.worstDeficit, sum - mostFrom(begin, epoch, factor));
  }
  return counter;
}

/** What a window that begins at `begin` may hold: in the first ones after a change also what was on lease. */
function mostFrom(begin: number, { limit, since, held }: Epoch, factor: number): number {
  return factor * limit.tokensPerWindow + (begin < since + LEASE_MS ? held : 0);
}
