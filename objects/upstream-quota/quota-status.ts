import type { Priority } from "./fair-queue.ts";
import { leftOf } from "./pace.ts";
import type { PauseCause } from "./pause.ts";
import { nextAt, pausedMs, type Grant, type Refusal } from "./quota.ts";
import type { QuotaPolicy } from "./quota-policy.ts";
import type { QuotaState } from "./quota-state.ts";
import type { WaitingRoom } from "./waiting-room.ts";

/** What an operator is told of a quota. */
export interface QuotaStatus {
  readonly quota: string;
  readonly configVersion: number;
  readonly policy: QuotaPolicy;
  readonly tokens: {
    /** Requests that the window still allows. */
    readonly requests: number;
    /** Those that may follow one another at once. */
    readonly burst: number;
    readonly nextInMs: number;
  };
  readonly queue: {
    readonly length: number;
    readonly clients: number;
    readonly byPriority: Readonly<Record<Priority, number>>;
    /** How long the one that has waited longest has waited; 0: nobody waits. */
    readonly oldestMs: number;
  };
  /** Of the last 200 grants; null: there was none since the object started. */
  readonly waits: { readonly p50Ms: number; readonly p95Ms: number; readonly maxMs: number } | null;
  /** Since the object started. */
  readonly counts: QuotaCounts;
  /** Null: there is none. */
  readonly pause: { readonly remainingMs: number; readonly cause: PauseCause | null } | null;
  /** Answers of 429 and 503 in a row. */
  readonly throttles: number;
}

/** What has happened to requests and slots. */
export interface QuotaCounts {
  readonly granted: number;
  /** Requests that were granted ahead, beside those. */
  readonly ahead: number;
  readonly queueFull: number;
  readonly deadline: number;
  readonly withdrawn: number;
  readonly returned: number;
}

/** What is counted of a quota; only in memory. */
export interface QuotaTally {
  note(grants: readonly Grant[], refusals: readonly Refusal[]): void;
  left(what: { readonly withdrawn: number; readonly returned: number }): void;
  readonly counts: QuotaCounts;
  readonly waits: QuotaStatus["waits"];
}

const REMEMBERED = 200;

/** Makes an empty tally. */
export function createQuotaTally(): QuotaTally {
  const counts = { granted: 0, ahead: 0, queueFull: 0, deadline: 0, withdrawn: 0, returned: 0 };
  const waits: number[] = [];
  return {
    note(grants, refusals) {
      for (const { heldMs, slots } of grants) {
        // A ring: the oldest gives way.
        waits[counts.granted % REMEMBERED] = heldMs;
        counts.granted += 1;
        for (const { count } of slots) counts.ahead += count;
        counts.ahead -= 1;
      }
      for (const { why } of refusals) counts[why === "queue-full" ? "queueFull" : "deadline"] += 1;
    },
    left({ withdrawn, returned }) {
      counts.withdrawn += withdrawn;
      counts.returned += returned;
    },
    get counts() {
      return { ...counts };
    },
    get waits() {
      if (waits.length === 0) return null;
      const sorted = waits.toSorted((a, b) => a - b);
      const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
      return { p50Ms: at(0.5), p95Ms: at(0.95), maxMs: at(1) };
    },
  };
}

/** Describes a quota at the time of its state's clock. */
export function quotaStatus(state: QuotaState, room: WaitingRoom, tally: QuotaTally): QuotaStatus {
  const { quota, configVersion, policy, pace, pause, clock } = state;
  const byPriority = { critical: 0, normal: 0, low: 0 };
  let oldestMs = 0;
  for (const { priority, arrivedAt } of room.queue.all()) {
    byPriority[priority] += 1;
    oldestMs = Math.max(oldestMs, clock.at - arrivedAt);
  }
  const remainingMs = pausedMs(state);
  return {
    quota,
    configVersion,
    policy,
    tokens: { ...leftOf(pace, policy, clock.at), nextInMs: nextAt(state) - clock.at },
    queue: { length: room.queue.size, clients: room.queue.clients, byPriority, oldestMs },
    waits: tally.waits,
    counts: tally.counts,
    pause: remainingMs === 0 ? null : { remainingMs, cause: pause.cause },
    throttles: pause.throttles,
  };
}
