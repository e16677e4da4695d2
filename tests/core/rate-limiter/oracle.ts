import type { BucketLimit } from "../../../objects/rate-limiter/algorithms/token-bucket.ts";

/** What the oracle says of one take. */
export interface OracleDecision {
  readonly allowed: boolean;
  readonly remaining: number;
  readonly retryAfterMs: number | null;
}

/**
 * The token bucket in exact rationals: its level is a BigInt in units of 1 / windowMs. It knows the rule of the
 * clock and nothing of how the bucket under test represents itself.
 */
export function oracleBucket(limit: BucketLimit, start: number) {
  const perToken = BigInt(limit.windowMs);
  const perMs = BigInt(limit.tokensPerWindow);
  const ceiling = BigInt(limit.burst) * perToken;
  let level = ceiling;
  let last = start;

  function advance(now: number): void {
    if (now > last) {
      const filled = level + perMs * BigInt(now - last);
      level = filled < ceiling ? filled : ceiling;
    }
    if (now > last || last - now > 5_000) last = now;
  }

  function judge(cost: number): OracleDecision {
    const remaining = Number(level / perToken);
    if (cost > limit.burst) return { allowed: false, remaining, retryAfterMs: null };
    const missing = BigInt(cost) * perToken - level;
    if (missing <= 0n) return { allowed: true, remaining, retryAfterMs: 0 };
    return { allowed: false, remaining, retryAfterMs: Number((missing + perMs - 1n) / perMs) };
  }

  return {
    /** The level in units of 1 / windowMs, after advancing to `now`. */
    level(now: number): bigint {
      advance(now);
      return level;
    },
    /** What a take would say, without taking. */
    look(cost: number, now: number): OracleDecision {
      advance(now);
      return judge(cost);
    },
    take(cost: number, now: number): OracleDecision {
      advance(now);
      const decision = judge(cost);
      if (!decision.allowed) return decision;
      level -= BigInt(cost) * perToken;
      return { ...decision, remaining: decision.remaining - cost };
    },
  };
}
