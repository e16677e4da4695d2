import type { BorrowedLimit } from "../../objects/rate-limiter/leases/borrower.ts";
import { LEASE_RULES, MAX_TTL_MS } from "../../objects/rate-limiter/leases/lease-rules.ts";

/**
 * The promise, watched from outside: a bucket that starts full, refills without ceiling tricks and gives every admitted
 * token at the instant of its admission. It never lacks one exactly when no interval of t ms admits more than
 * burst + rate * t. Knows nothing of leases; counts in whole units of 1 / windowMs.
 */
export class ShadowBucket {
  worstDeficit = 0;
  #limit: BorrowedLimit;
  #units: number;
  #last: number;
  #ceiling: number;
  #cutAt = Infinity;

  constructor(limit: BorrowedLimit, tokens = limit.burst, now = 0) {
    this.#limit = limit;
    this.#ceiling = limit.burst;
    this.#units = tokens * limit.windowMs;
    this.#last = now;
  }

  /** Records an admission. */
  admit(tokens: number, now: number): void {
    this.#advance(now);
    this.#units -= tokens * this.#limit.windowMs;
    this.worstDeficit = Math.max(this.worstDeficit, -this.#units / this.#limit.windowMs);
  }

  /** A new limit is in force; until the leases of the old one end they may still be spent. */
  change(limit: BorrowedLimit, outstanding: number, now: number): void {
    this.#advance(now);
    this.#units = Math.ceil((this.#units * limit.windowMs) / this.#limit.windowMs);
    this.#limit = limit;
    this.#ceiling = Math.max(limit.burst, outstanding);
    this.#cutAt = now + MAX_TTL_MS + LEASE_RULES.guardMs;
    this.#advance(now);
  }

  #advance(now: number): void {
    if (now >= this.#cutAt) {
      this.#refill(this.#cutAt);
      this.#ceiling = this.#limit.burst;
      this.#cutAt = Infinity;
    }
    this.#refill(now);
  }

  #refill(now: number): void {
    const { tokensPerWindow, windowMs } = this.#limit;
    const refilled = this.#units + Math.max(0, now - this.#last) * tokensPerWindow;
    this.#units = Math.min(this.#ceiling * windowMs, refilled);
    this.#last = Math.max(this.#last, now);
  }
}

/** The limiter that knows everything at once: what could have been admitted, to measure what was not. */
export class IdealLimiter {
  tokens = 0;
  #buckets: { readonly limit: BorrowedLimit; units: number }[];
  #last = 0;

  constructor(limits: readonly BorrowedLimit[]) {
    this.#buckets = limits.map((limit) => ({ limit, units: limit.burst * limit.windowMs }));
  }

  /** Decides about a request when it arrives. */
  ask(cost: number, now: number): void {
    for (const bucket of this.#buckets) {
      const { tokensPerWindow, windowMs, burst } = bucket.limit;
      bucket.units = Math.min(burst * windowMs, bucket.units + (now - this.#last) * tokensPerWindow);
    }
    this.#last = now;
    if (this.#buckets.some(({ units, limit }) => !limit.shadow && units < cost * limit.windowMs)) return;
    for (const bucket of this.#buckets) bucket.units -= cost * bucket.limit.windowMs;
    this.tokens += cost;
  }
}
