import { isCount, isInteger } from "../numbers.ts";
import { parsePacked } from "../packed.ts";
import { packBuckets, unpackBuckets } from "../rate-limiter/algorithms/sub-buckets.ts";
import { MAX_CLOCK_STEP_BACK_MS } from "../rate-limiter/algorithms/token-bucket.ts";
import { changePace, lostPace, newPace, wholeAt, type Pace } from "./pace.ts";
import { NO_PAUSE, type Pause, type PauseCause } from "./pause.ts";
import { packPolicy, unpackPolicy, type QuotaPolicy, type QuotaTerms } from "./quota-policy.ts";

/** What an owner has to remember: all of it in one row, written before a grant or a pause is told. */
export interface QuotaState extends QuotaTerms {
  readonly clock: OwnerClock;
  readonly pace: Pace;
  readonly pause: Pause;
  /** The id of the last slot; no two slots of a quota have the same, restarts or not. */
  readonly lastSlot: number;
}

/** A clock that never goes back: that of the machine, and the steps of more than 5 s that it went back so far. */
export interface OwnerClock {
  /** The latest time that was seen; in ms since the epoch, more or less. */
  readonly at: number;
  readonly offset: number;
}

/** A quota that was not used for so long after it was whole again is forgotten. */
const KEEP_MS = 3_600_000;

/** The state of a quota that nobody has asked for yet; if it was `lost`, all of it counts as used up now. */
export function newState(terms: QuotaTerms, isLost: boolean, now: number): QuotaState {
  const { quota, configVersion, policy } = terms;
  const pace = isLost ? lostPace(policy, now) : newPace(policy, now);
  // Slots of before must not be taken for those to come: no owner has granted a million a second.
  const lastSlot = isLost ? now * 1_000 : 0;
  return { quota, configVersion, policy, clock: { at: now, offset: 0 }, pace, pause: NO_PAUSE, lastSlot };
}

/** The state at `now`, a reading of the machine's clock, with what a message says of the quota. */
export function stateAt(state: QuotaState, now: number, terms?: QuotaTerms): QuotaState {
  const clock = clockAt(state.clock, now);
  const current = { ...state, clock };
  if (terms === undefined || terms.configVersion <= state.configVersion) return current;
  const { quota, configVersion, policy } = terms;
  return { ...current, quota, configVersion, policy, pace: changePace(state.pace, state.policy, policy, clock.at) };
}

function clockAt({ at, offset }: OwnerClock, now: number): OwnerClock {
  const time = now + offset;
  if (time >= at) return { at: time, offset };
  // A small step is waited out: added up, steps of a clock that trembles would make this one run fast.
  return at - time > MAX_CLOCK_STEP_BACK_MS ? { at, offset: at - now } : { at, offset };
}

/** When nothing is left to remember, in the owner's time. */
export function forgettableAt({ pace, policy, pause }: QuotaState): number {
  return Math.max(wholeAt(pace, policy), pause.until) + KEEP_MS;
}

/** Whether two states differ in more than the time, so that there is something to write. */
export function isSame(one: QuotaState, other: QuotaState): boolean {
  return one.pace === other.pace && one.pause === other.pause && one.configVersion === other.configVersion;
}

/** A state as one short text: 150 characters, and up to 8 for each of at most 120 counts. */
export function packState({ quota, configVersion, policy, clock, pace, pause, lastSlot }: QuotaState): string {
  const { window, bucket, lastFrom, busyUntil } = pace;
  return JSON.stringify({
    q: quota,
    v: configVersion,
    y: packPolicy(policy),
    c: [clock.at, clock.offset],
    w: [window.last, window.spendableUntil, packBuckets(window.buckets)],
    b: [bucket.tokens, bucket.rem, bucket.last],
    l: [lastFrom, busyUntil, lastSlot],
    p: [Number.isFinite(pause.until) ? pause.until : null, pause.cause, pause.epoch, pause.throttles],
  });
}

/** What `packState` packed, or undefined when the text is not a state. Members that it does not know are ignored. */
export function unpackState(text: string): QuotaState | undefined {
  const packed = parsePacked(text);
  if (typeof packed !== "object" || packed === null) return undefined;
  const { q: quota, v: configVersion, y, c, w, b, l, p }: Packed = packed;
  const policy = unpackPolicy(y);
  const clock = integers(c, 2);
  const last = integers(l, 3);
  const pause = unpackPause(p);
  if (typeof quota !== "string" || !isCount(configVersion) || policy === undefined) return undefined;
  if (clock === undefined || last === undefined || pause === undefined) return undefined;
  const [at = 0, offset = 0] = clock;
  const [lastFrom = 0, busyUntil = 0, lastSlot = 0] = last;
  const pace = unpackPace(policy, w, b);
  if (pace === undefined || !isCount(lastSlot)) return undefined;
  const terms = { quota, configVersion, policy };
  return { ...terms, clock: { at, offset }, pace: { ...pace, lastFrom, busyUntil }, pause, lastSlot };
}

/** The members of a packed state, as they may really be. */
type Packed = { readonly [Member in "q" | "v" | "y" | "c" | "w" | "b" | "l" | "p"]?: unknown };

const CAUSES: readonly PauseCause[] = ["retry-after", "rate-limit", "backoff"];

function unpackPace(
  { burst, windowMs }: QuotaPolicy,
  w: unknown,
  b: unknown,
): Pick<Pace, "window" | "bucket"> | undefined {
  if (!Array.isArray(w)) return undefined;
  const list: readonly unknown[] = w;
  const [last, spendableUntil, packedBuckets] = list;
  const buckets = unpackBuckets(packedBuckets);
  const bucket = integers(b, 3);
  if (!isInteger(last) || !isInteger(spendableUntil) || buckets === undefined || bucket === undefined) return undefined;
  const [tokens = 0, rem = 0, refilledAt = 0] = bucket;
  if (tokens < 0 || tokens > burst || rem < 0 || rem >= windowMs) return undefined;
  return { window: { buckets, last, spendableUntil }, bucket: { tokens, rem, last: refilledAt, outstanding: 0 } };
}

function unpackPause(packed: unknown): Pause | undefined {
  if (!Array.isArray(packed)) return undefined;
  const list: readonly unknown[] = packed;
  const [until, cause, epoch, throttles] = list;
  if (!(until === null || isInteger(until)) || !isCount(epoch) || !isCount(throttles)) return undefined;
  if (cause !== null && !isCause(cause)) return undefined;
  return { until: until ?? -Infinity, cause, epoch, throttles };
}

function isCause(value: unknown): value is PauseCause {
  return CAUSES.some((cause) => cause === value);
}

function integers(packed: unknown, length: number): readonly number[] | undefined {
  if (!Array.isArray(packed) || packed.length < length) return undefined;
  const list: readonly unknown[] = packed;
  const numbers = list.filter(isInteger);
  return numbers.length === list.length ? numbers : undefined;
}
