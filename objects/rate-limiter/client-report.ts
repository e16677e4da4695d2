import { advance, clockOf, remaining, wholeAt, type Allowance } from "./algorithms/allowance.ts";
import type { ClientState, LiveLease, PolicyState } from "./client-state.ts";
import { windowLength } from "./algorithms/fixed-window.ts";
import { endLeases } from "./leases/live-leases.ts";
import type { ClientReport, LeasesReport, PolicyReport } from "./messages.ts";

/** A client's counters as they stand now. */
export function report(
  state: ClientState,
  client: string,
  lastDecision: ClientReport["lastDecision"],
  now: number,
): ClientReport {
  const { policies, leases } = endLeases(state, now);
  const { live = [], reserved = [] } = leases ?? {};
  return { v: 1, client, lastDecision, policies: policies.map((policy) => reportPolicy(policy, live, reserved, now)) };
}

function reportPolicy(
  policy: PolicyState,
  live: readonly LiveLease[],
  reserved: readonly LiveLease[],
  now: number,
): PolicyReport {
  const advanced = advance(policy, now);
  const leases = reportLeases(live, policy.policy);
  const reservations = reportLeases(reserved, policy.policy);
  return {
    policy: policy.policy,
    configVersion: policy.configVersion,
    ...limitOf(advanced),
    remaining: remaining(advanced),
    outstanding: leases.tokens + reservations.tokens,
    leases,
    reservations,
    fullInMs: Math.max(0, wholeAt(advanced) - now),
    lastChangeAt: clockOf(policy),
  };
}

function limitOf(
  allowance: Allowance,
): Pick<PolicyReport, "algorithm" | "tokensPerWindow" | "windowMs" | "burst" | "calendar"> {
  const { algorithm } = allowance;
  switch (algorithm) {
    case "token-bucket":
      return { algorithm, ...allowance.limit };
    case "sliding-window":
    case "approximate-sliding-window": {
      const { tokensPerWindow, windowMs } = allowance.limit;
      return { algorithm, tokensPerWindow, windowMs, burst: tokensPerWindow };
    }
    case "fixed-window": {
      const { limit, quota } = allowance;
      const { tokensPerWindow, rule } = limit;
      const numbers = { algorithm, tokensPerWindow, windowMs: windowLength(limit, quota), burst: tokensPerWindow };
      if (rule.kind === "fixed") return numbers;
      return { ...numbers, calendar: { unit: rule.unit, timeZone: rule.timeZone } };
    }
  }
}

function reportLeases(leases: readonly LiveLease[], policy: string): LeasesReport {
  let count = 0;
  let tokens = 0;
  let nextEndAt: number | null = null;
  for (const lease of leases) {
    if (lease.policy !== policy) continue;
    count += 1;
    tokens += lease.tokens;
    nextEndAt = Math.min(nextEndAt ?? Infinity, lease.expiresAt);
  }
  return { count, tokens, nextEndAt };
}
