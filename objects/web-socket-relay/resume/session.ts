import { createAcks } from "./acks.ts";
import { createRing } from "./ring.ts";
import type { Claim, Refused, ResumeOptions, ResumeSession } from "./resume-session.ts";
import { ACK_MS, COME_BACK, GONE, HOLD_OVERFLOW, SUPERSEDED, type ResumeRules } from "./resume-rules.ts";
import { createLedger, type Flush, type StoredSession } from "./stored-session.ts";

/** The refusal of a client whose session never was, has ended, or was lost with its object. */
export const NO_SUCH_SESSION: Refused = { kind: "refused", code: GONE, reason: "this session is gone" };

/** Whether a client's Close frame ends its session. What was lost without one (1006) can be resumed, as can what was asked to come back. */
export function endsSession(code: number, options: { readonly resumeOn1001: boolean }): boolean {
  if (code === 1006 || code === COME_BACK) return false;
  return code !== 1001 || !options.resumeOn1001;
}

/**
 * Opens a session, whose client is connected.
 *
 * How an object uses it:
 *
 *   open          s = createResumeSession({ epoch, owner, rules }, now); its client is connection 1
 *   client sends  s.fromClient(connection, now): pass it on to the upstream; false: it came too late and is ignored
 *   upstream sends  s.toClient(message, now): `send` it, it is `held` for later, or `overflow`: end the upstream with 1013
 *   client's socket ends  if endsSession(code, ..): s.end(), and close the upstream; else s.detach(connection, now)
 *   client returns  r = s.attach({ owner, recv }, now). Refused: 403, or 101 and close(r.code, r.reason). Attached: where
 *                 r.supersedes close the old socket with 4409; 101 with X-WS-Recv: r.recv and X-WS-Epoch; with level 1 the
 *                 frame hello; then r.replay in order, and only then anything else
 *   plain GET     JSON.stringify(s.status())
 *   frame ack{n}  s.acked(n)
 *   after each message, and by one timer at s.nextAt()  n = s.takeAck(now): the frame ack{n}; f = s.takeFlush(now): write f.
 *                 Both return at once while nothing is due. By the timer also s.isExpired(now): close the upstream
 *   restart       s = restoreResumeSession(stored, rules, now): held until its client attaches
 *
 * With level 2 write s.flush(now) before a status or an `attach` is answered: what a client was told has come it forgets, and
 * the output gate holds the answer until the write is durable.
 */
export function createResumeSession({ epoch, owner, rules }: ResumeOptions, now: number): ResumeSession {
  const nothing = { recv: 0, restarts: 0, restoredTo: null, first: 1, savedAt: now, messages: [] };
  return sessionOf({ epoch, owner, openedAt: now, ...nothing }, rules, { heldSince: null, now });
}

/** The session that a crashed object had stored. Undefined: its client was waited for long enough. */
export function restoreResumeSession(
  stored: StoredSession,
  rules: ResumeRules,
  now: number,
): ResumeSession | undefined {
  // When it was lost nobody knows, but while it lived it was written at least once a hold.
  if (now - stored.savedAt > 2 * rules.holdMs) return undefined;
  return sessionOf({ ...stored, restarts: stored.restarts + 1 }, rules, { heldSince: now, now });
}

function sessionOf(
  stored: StoredSession,
  rules: ResumeRules,
  begin: { readonly heldSince: number | null; readonly now: number },
): ResumeSession {
  const { epoch, owner, restarts } = stored;
  const openedAt = Math.min(stored.openedAt ?? begin.now, begin.now);
  const ring = createRing(rules.ring, stored.first - 1);
  for (const message of stored.messages) ring.push(message);
  const acks = rules.control ? createAcks(stored.recv) : undefined;
  const ledger = rules.stored ? createLedger(ring.last) : undefined;
  let { recv } = stored;
  let { heldSince } = begin;
  let savedAt = begin.now;
  let connection = heldSince === null ? 1 : 0;
  /** The last message that was known to storage before a crash, until the client says what came to it after that. */
  let restoredTo = heldSince === null ? null : (stored.restoredTo ?? ring.last);
  /** The latest message that any connection may have received. */
  let sentTo = restoredTo ?? ring.last;
  let over: Refused | undefined;
  let waiting = 0;
  let ackedTo = 0;
  ledger?.changed(0, begin.now);

  /** How many messages of the client are not lost if this object crashes; without storage, which all are together. */
  function come(): number {
    return ledger === undefined ? recv : recv - waiting;
  }

  function detached(now: number): void {
    heldSince = now;
    sentTo = ring.last;
    ledger?.changed(0, now);
  }

  function isExpired(now: number): boolean {
    if (over === undefined && heldSince !== null && now - heldSince >= rules.holdMs) over = NO_SUCH_SESSION;
    return over !== undefined;
  }

  /** What came to the client after the last batch before a crash was numbered, and is not known here. */
  function renumber(count: number, now: number): void {
    if (restoredTo === null || count <= restoredTo) return;
    ring.dropTo(restoredTo);
    ring.skip(count - restoredTo);
    ledger?.renumbered(now);
  }

  function refusal(claim: Claim, now: number): Refused | undefined {
    if (claim.owner !== owner) return { kind: "refused", status: 403 };
    isExpired(now);
    if (over !== undefined) return over;
    const count = claim.recv;
    if (count === undefined) {
      return { kind: "refused", code: SUPERSEDED, reason: "this session is in use; resume it, or choose another id" };
    }
    if (count < ring.first - 1) return { kind: "refused", code: GONE, reason: "what is missing is not kept any more" };
    if (count > ring.last && restoredTo === null) {
      return { kind: "refused", code: GONE, reason: "more was received than was sent" };
    }
    return undefined;
  }

  function flush(now: number): Flush | undefined {
    const batch = ledger?.take({ epoch, owner, openedAt, recv: come(), restarts, restoredTo }, ring, now);
    if (batch === undefined) return undefined;
    savedAt = now;
    // At once: it has waited for the batch.
    acks?.counted(batch.record.recv, now - ACK_MS);
    return batch;
  }

  return {
    get state() {
      if (over !== undefined) return "over";
      return heldSince === null ? "live" : "held";
    },
    get connection() {
      return connection;
    },
    openedAt,
    fromClient(from, now) {
      if (from !== connection || heldSince !== null || over !== undefined) return false;
      recv += 1;
      // What a crash would take back is not acknowledged before it is written.
      if (ledger === undefined) acks?.counted(recv, now);
      else ledger.changed(0, now);
      return true;
    },
    toClient(message, now) {
      if (over !== undefined) return "over";
      ring.push(message);
      ledger?.changed(message.bytes, now);
      if (heldSince === null) return "send";
      // What may have been sent can go; what was not would be missing.
      if (ring.first <= sentTo + 1) return "held";
      over = { kind: "refused", code: HOLD_OVERFLOW, reason: "more came for this session than can be held" };
      return "overflow";
    },
    detach(from, now) {
      if (from === connection && heldSince === null && over === undefined) detached(now);
    },
    attach(claim, now) {
      const refused = refusal(claim, now);
      if (refused !== undefined) return refused;
      const count = claim.recv ?? 0;
      const supersedes = heldSince === null;
      renumber(count, now);
      restoredTo = null;
      ring.dropTo(count);
      recv = come();
      waiting = 0;
      heldSince = null;
      connection += 1;
      ledger?.changed(0, now);
      return { kind: "attached", connection, supersedes, recv, replay: ring.after(count) };
    },
    acked(count) {
      if (restoredTo !== null || count > ring.last || count <= ackedTo) return false;
      ackedTo = count;
      ring.dropTo(count);
      return true;
    },
    end() {
      over ??= NO_SUCH_SESSION;
    },
    setWaiting(count, now) {
      if (waiting !== count) ledger?.changed(0, now);
      waiting = count;
    },
    status() {
      const live = over === undefined && heldSince === null;
      return { epoch, recv: come(), sent: ring.last, oldest: ring.first, live, restarts };
    },
    isExpired,
    takeAck(now) {
      return heldSince === null ? acks?.take(now) : undefined;
    },
    takeFlush(now) {
      if (ledger === undefined || over !== undefined) return undefined;
      if (heldSince === null && now - savedAt >= rules.holdMs) ledger.changed(0, now);
      else if (!ledger.isDue(now)) return undefined;
      return flush(now);
    },
    flush,
    nextAt() {
      if (over !== undefined) return null;
      const times =
        heldSince === null
          ? [acks?.nextAt(), ledger?.nextAt() ?? (ledger && savedAt + rules.holdMs)]
          : [heldSince + rules.holdMs, ledger?.nextAt()];
      const soonest = Math.min(...times.map((time) => time ?? Infinity));
      return soonest === Infinity ? null : soonest;
    },
    get isWindowFull() {
      if (acks === undefined || heldSince !== null) return false;
      return ring.bytes * 2 > rules.ring.bytes || (ring.last - ring.first + 1) * 2 > rules.ring.messages;
    },
  };
}
