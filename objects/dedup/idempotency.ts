/** What is known of one idempotency key of one principal. Kept durably; times in ms since the epoch. */
export type KeyState =
  | { readonly kind: "unused" }
  /**
   * The request may be under way. `run`: which run of the object sent it, or always the same where it is not the object that sends;
   * `deadline`: by then it has come to an end.
   */
  | ({ readonly kind: "in-flight"; readonly run: string; readonly attempt: number; readonly deadline: number } & Used)
  /** It came to an outcome. `isKept`: the outcome is there to be replayed; else it was too large. */
  | ({ readonly kind: "done"; readonly isKept: boolean } & Used)
  /** It may or may not have had its effect. */
  | ({ readonly kind: "unknown"; readonly attempt: number } & Used);

interface Used {
  readonly fingerprint: string;
  readonly expiresAt: number;
}

/** How a route treats its keys. Times in ms. */
export interface IdempotencyPolicy {
  /** How long a key means its first request; default 24 h. */
  readonly ttlMs: number;
  /** What a request gets whose outcome is lost: 409, or it is sent once more, where its effect is harmless twice. */
  readonly onUnknown: "refuse" | "retry";
  /** The route's total timeout, and time to tell what came of it. */
  readonly deadlineMs: number;
}

/** What holds where a route says nothing else. */
export const DEFAULT_IDEMPOTENCY: IdempotencyPolicy = { ttlMs: 86_400_000, onUnknown: "refuse", deadlineMs: 35_000 };

/** What happens to a key. */
export type KeyEvent =
  /** Somebody asks with it. */
  | { readonly kind: "ask"; readonly fingerprint: string; readonly run: string }
  /** An attempt came to an end. */
  | { readonly kind: "settle"; readonly attempt: number; readonly outcome: AttemptOutcome };

/**
 * How an attempt ended: with a whole response that was stored, or that is too large to be; before anything was sent; or so that nobody
 * knows, a response that was cut off among that: half of an answer is none.
 */
export type AttemptOutcome = "stored" | "too-large" | "not-sent" | "unknown";

/** What whoever asks is to get. */
export type KeyAnswer =
  /** Send it upstream, once this state is durable, and tell what came of it by the attempt's number. */
  | { readonly kind: "run"; readonly attempt: number }
  | { readonly kind: "replay" }
  /** 409 `idempotency-in-flight`. */
  | { readonly kind: "in-flight" }
  /** 422 `idempotency-key-reused`. */
  | { readonly kind: "reused" }
  /** 409 `idempotency-outcome-unknown`. `isDone`: the effect is known to have happened, only what it answered is not kept. */
  | { readonly kind: "outcome-unknown"; readonly isDone: boolean; readonly until: number }
  /** Nobody asked. */
  | { readonly kind: "noted" };

/** A state to be stored before the answer leaves, and the answer. */
export interface KeyStep {
  readonly state: KeyState;
  readonly answer: KeyAnswer;
}

/** A key that nobody has used, or that everything is forgotten of. */
export const UNUSED: KeyState = { kind: "unused" };

/**
 * At most one effect for a key. What is under way is in the state before it is sent; when the object has died meanwhile, which shows by its
 * run being another, or nobody told the outcome in time, the effect may have happened and is not repeated unless the route says so.
 *
 * @param now in ms since the epoch.
 */
export function stepKey(state: KeyState, event: KeyEvent, policy: IdempotencyPolicy, now: number): KeyStep {
  if (event.kind === "settle")
    return { state: settled(state, event.attempt, event.outcome), answer: { kind: "noted" } };
  const current = asOf(state, event.run, now);
  if (current.kind === "unused") return begin(event, 1, now + policy.ttlMs, policy, now);
  if (current.fingerprint !== event.fingerprint) return { state: current, answer: { kind: "reused" } };
  switch (current.kind) {
    case "in-flight":
      return { state: current, answer: { kind: "in-flight" } };
    case "done":
      return current.isKept ? { state: current, answer: { kind: "replay" } } : lost(current, true);
    case "unknown":
      return policy.onUnknown === "retry"
        ? begin(event, current.attempt + 1, current.expiresAt, policy, now)
        : lost(current, false);
  }
}

/** A key as it is to be read: expired, or its attempt lost with the run of the object that it was of. */
export function asOf(state: KeyState, run: string, now: number): KeyState {
  if (state.kind === "unused") return state;
  const isLost = state.kind === "in-flight" && (state.run !== run || now >= state.deadline);
  // What may still be under way keeps its key, however old that is.
  if (state.kind === "in-flight" && !isLost) return state;
  if (now >= state.expiresAt) return UNUSED;
  if (!isLost) return state;
  const { fingerprint, expiresAt, attempt } = state;
  return { kind: "unknown", fingerprint, expiresAt, attempt };
}

/** When a key is to be looked at again, in ms since the epoch: what is left of it is forgotten then. Infinity: there is nothing. */
export function keyDue(state: KeyState): number {
  if (state.kind === "unused") return Infinity;
  return state.kind === "in-flight" ? Math.max(state.deadline, state.expiresAt) : state.expiresAt;
}

function begin(
  { fingerprint, run: by }: Extract<KeyEvent, { kind: "ask" }>,
  attempt: number,
  expiresAt: number,
  policy: IdempotencyPolicy,
  now: number,
): KeyStep {
  const deadline = now + policy.deadlineMs;
  return {
    state: { kind: "in-flight", fingerprint, run: by, attempt, deadline, expiresAt },
    answer: { kind: "run", attempt },
  };
}

/** What an attempt's end makes of a key. That of an attempt that was given up says what had been unknown; any other's is not news. */
function settled(state: KeyState, attempt: number, outcome: AttemptOutcome): KeyState {
  if ((state.kind !== "in-flight" && state.kind !== "unknown") || state.attempt !== attempt) return state;
  const { fingerprint, expiresAt } = state;
  switch (outcome) {
    case "stored":
      return { kind: "done", fingerprint, expiresAt, isKept: true };
    case "too-large":
      return { kind: "done", fingerprint, expiresAt, isKept: false };
    case "not-sent":
      // An attempt before this one may have been.
      return attempt === 1 ? UNUSED : { kind: "unknown", fingerprint, expiresAt, attempt };
    case "unknown":
      return { kind: "unknown", fingerprint, expiresAt, attempt };
  }
}

function lost(state: Extract<KeyState, { expiresAt: number }>, isDone: boolean): KeyStep {
  return { state, answer: { kind: "outcome-unknown", isDone, until: state.expiresAt } };
}
