import type { Priority } from "../../../objects/upstream-quota/fair-queue.ts";
import type { QuotaPolicy } from "../../../objects/upstream-quota/quota-policy.ts";
import { QUOTA_PRESETS } from "../../../schemas/policies/backends/quota.ts";
import { QUOTA_RULES, type QuotaRules } from "../../../objects/upstream-quota/quota-rules.ts";

/** A request that comes at a time, to one of the isolates. */
export interface Arrival {
  readonly at: number;
  readonly client: string;
  readonly priority: Priority;
  readonly waitMs: number;
}

/** The upstream answers 429 from a time on until another, with `Retry-After` or without. */
export interface Throttling {
  readonly from: number;
  readonly to: number;
  readonly retryAfterMs: number | null;
}

/** What no owner and no isolate may do; a check is to notice it. */
export type EgressMutation =
  | "tells grants before they are stored"
  | "credits a slot each time that it comes back"
  | "starts by a slot that it has given back"
  | "has no deadline"
  | "ignores the upstream";

/** One run: isolates with requests for one upstream, the owner of its quota, and a world around them. Times in ms. */
export interface EgressScenario {
  readonly seed: number;
  readonly durationMs: number;
  readonly policy: QuotaPolicy;
  readonly isolates: number;
  /** In the order of time. */
  readonly arrivals: readonly Arrival[];
  readonly throttling: readonly Throttling[];
  readonly network: {
    /** Round trip: lognormal around this, at least 2 ms. */
    readonly medianMs: number;
    /** Share of messages, each way, that never arrive; half of them are noticed. */
    readonly loss: number;
    /** Share of messages that arrive a second time, up to 3 s later. */
    readonly doubled: number;
    /** Share of messages that take up to 3 s longer. */
    readonly late: number;
  };
  readonly isolateLifeMs: number;
  /** Share of requests whose client leaves while they wait. */
  readonly leaving: number;
  readonly owner: {
    readonly restartEveryMs: number;
    /** One restart at a time of its own. */
    readonly killedAt: number;
    /** Half of the restarts leave the old instance running for up to a second. */
    readonly splitBrain: boolean;
    /** At a restart its clock steps back by up to so much. */
    readonly stepBackMs: number;
    /** What no owner may do: begin anew. */
    readonly forgets: boolean;
    readonly commitMs: number;
  };
  readonly clocks: { readonly driftPpm: number; readonly staleMs: number };
  readonly rules: QuotaRules;
  readonly mutation: EgressMutation | undefined;
}

/** A calm day: nothing fails. */
export function egress(changes: Partial<EgressScenario>): EgressScenario {
  return {
    seed: 1,
    durationMs: 300_000,
    policy: QUOTA_PRESETS["30-per-minute"],
    isolates: 4,
    arrivals: [],
    throttling: [],
    network: { medianMs: 20, loss: 0, doubled: 0, late: 0 },
    isolateLifeMs: Infinity,
    leaving: 0,
    owner: {
      restartEveryMs: Infinity,
      killedAt: Infinity,
      splitBrain: false,
      stepBackMs: 0,
      forgets: false,
      commitMs: 3,
    },
    clocks: { driftPpm: 0, staleMs: 0 },
    rules: QUOTA_RULES,
    mutation: undefined,
    ...changes,
  };
}

/** So many requests at once, by so many clients in turn. */
export function atOnce(requests: number, clients: number, waitMs: number): readonly Arrival[] {
  return Array.from({ length: requests }, (_, index) => ({
    at: 1_000,
    client: `client ${index % clients}`,
    priority: "normal",
    waitMs,
  }));
}
