import { MAX_ID_LENGTH, isText, wanted, type Unchecked } from "../message-checks.ts";
import { isCount } from "../numbers.ts";
import { PRIORITIES, type Priority } from "./fair-queue.ts";
import type { Signal } from "./pause.ts";
import { termsProblem, type QuotaTerms } from "./quota-policy.ts";

/**
 * What an isolate and the owner of a quota say to each other. Unknown fields are ignored; `v` rises only when that cannot
 * be had. All times are durations in ms, since clocks differ.
 */
export interface AcquireMessage extends QuotaTerms {
  readonly v: 1;
  /** Names the sender for its life; a random id of at most 64 characters. */
  readonly isolate: string;
  /** Names the request, within its isolate. */
  readonly seq: number;
  /** Whose turn it is; at most 64 characters. */
  readonly client: string;
  readonly priority: Priority;
  /** How long the request can wait for its slot. */
  readonly waitMs: number;
  /** How long a slot has to be for this isolate to hit it. */
  readonly toleranceMs: number;
  /** How many requests the isolate expects in the half second after this one. */
  readonly spare: number;
  /** What it got and has not used, nor ever will. */
  readonly unused: readonly UnusedSlot[];
}

/** The answer to an `AcquireMessage`, which comes when its slot does. */
export type AcquireReply =
  | {
      readonly v: 1;
      readonly kind: "granted";
      /** How long the owner held the question. */
      readonly heldMs: number;
      /** The first is the request's; the others are for the isolate's next requests. */
      readonly slots: readonly GrantedSlot[];
      /** To be said with what the upstream answers to them. */
      readonly epoch: number;
      /** Whether the first success is to be reported: the upstream has throttled. */
      readonly wantsSuccess: boolean;
    }
  | {
      readonly v: 1;
      readonly kind: "refused";
      /** `queue-full`: others have more right to the room; `deadline`: no slot can come in time. */
      readonly why: RefusalReason;
      /** When it may be worth to come again; an estimate. */
      readonly retryAfterMs: number;
    };

export type RefusalReason = "queue-full" | "deadline";

/** A slot as its isolate is told. */
export interface GrantedSlot {
  readonly id: number;
  /** It begins so long after the reply left. */
  readonly inMs: number;
  /** And lasts so long. */
  readonly forMs: number;
  /** So many requests may start in it; never more than 1 where there is a spacing. */
  readonly count: number;
}

/** A slot that will not be used any more, or not by as many as might. Told once: what is told again counts for nothing. */
export interface UnusedSlot {
  readonly id: number;
  /** So many have not started by it, nor ever will. */
  readonly count: number;
}

/** Says what the upstream's answer to a request that had a slot tells about its limits. */
export interface SignalMessage extends QuotaTerms {
  readonly v: 1;
  /** Of the grant. */
  readonly epoch: number;
  readonly signal: Signal;
}

/** The answer to a `SignalMessage`. */
export interface SignalReply {
  readonly v: 1;
  /** How long nothing will be granted. */
  readonly pausedMs: number;
}

/** Gives back what an isolate has no more use for. */
export interface ReleaseMessage {
  readonly v: 1;
  readonly isolate: string;
  /** Requests that need not wait any more. */
  readonly withdrawn: readonly number[];
  /** What was not used, nor ever will be. */
  readonly unused: readonly UnusedSlot[];
}

/** Nothing waits longer for its slot. */
export const MAX_WAIT_MS = 300_000;
/** An isolate that needs longer slots is too far away to use any. */
export const MAX_TOLERANCE_MS = 2_000;
/** What half a second brings at the most that a quota can allow. */
export const MAX_SPARE = 500_000;
/** Of slots that come back in one message; the rest stays counted. */
export const MAX_LIST = 256;
const VERSION_WANTED = "1; deploy the Worker and its objects together";

/** What is wrong with an acquire message, in words for a log, or undefined. */
export function acquireProblem(message: Unchecked<AcquireMessage>): string | undefined {
  const { v, isolate, client, priority } = message;
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (!isText(isolate, MAX_ID_LENGTH)) return wanted("isolate", isolate, "1 to 64 characters");
  if (!isText(client, MAX_ID_LENGTH)) return wanted("client", client, "1 to 64 characters");
  if (!PRIORITIES.some((one) => one === priority)) {
    return wanted("priority", priority, `one of ${PRIORITIES.join(", ")}`);
  }
  for (const [field, most] of ACQUIRE_COUNTS) {
    const value = message[field];
    if (!isCount(value) || value > most) return wanted(field, value, `an integer from 0 to ${most}`);
  }
  return unusedProblem(message.unused) ?? termsProblem(message);
}

const ACQUIRE_COUNTS = [
  ["seq", Number.MAX_SAFE_INTEGER],
  ["waitMs", MAX_WAIT_MS],
  ["toleranceMs", MAX_TOLERANCE_MS],
  ["spare", MAX_SPARE],
] as const;

/** What is wrong with a signal message, in words for a log, or undefined. */
export function signalProblem(message: Unchecked<SignalMessage>): string | undefined {
  const { v, epoch, signal } = message;
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (!isCount(epoch)) return wanted("epoch", epoch, "an integer >= 0");
  if (typeof signal !== "object" || signal === null) return wanted("signal", signal, "an object");
  return kindProblem(signal) ?? termsProblem(message);
}

function kindProblem(signal: { kind?: unknown; retryAfterMs?: unknown; resetMs?: unknown }): string | undefined {
  const { kind, retryAfterMs, resetMs } = signal;
  switch (kind) {
    case "ok":
      return undefined;
    case "exhausted":
      return isCount(resetMs) ? undefined : wanted("signal.resetMs", resetMs, "an integer >= 0");
    case "throttled":
      if (retryAfterMs === null || isCount(retryAfterMs)) return undefined;
      return wanted("signal.retryAfterMs", retryAfterMs, "an integer >= 0 or null");
    default:
      return wanted("signal.kind", kind, "one of throttled, exhausted, ok");
  }
}

/** What is wrong with a release message, in words for a log, or undefined. */
export function releaseProblem({ v, isolate, withdrawn, unused }: Unchecked<ReleaseMessage>): string | undefined {
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (!isText(isolate, MAX_ID_LENGTH)) return wanted("isolate", isolate, "1 to 64 characters");
  return listProblem("withdrawn", withdrawn, isCount, "an integer >= 0") ?? unusedProblem(unused);
}

function unusedProblem(unused: unknown): string | undefined {
  return listProblem("unused", unused, isUnused, "an id and a count");
}

function isUnused(entry: unknown): boolean {
  return (
    typeof entry === "object" &&
    entry !== null &&
    "id" in entry &&
    "count" in entry &&
    isCount(entry.id) &&
    isCount(entry.count)
  );
}

function listProblem(
  field: string,
  list: unknown,
  isGood: (entry: unknown) => boolean,
  each: string,
): string | undefined {
  if (!Array.isArray(list)) return wanted(field, list, "a list");
  if (list.length > MAX_LIST) return wanted(`${field}.length`, list.length, `at most ${MAX_LIST}`);
  const entries: readonly unknown[] = list;
  const at = entries.findIndex((entry) => !isGood(entry));
  return at < 0 ? undefined : wanted(`${field}[${at}]`, entries[at], each);
}
