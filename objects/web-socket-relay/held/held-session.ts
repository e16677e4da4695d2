import type { Bridge } from "../bridge.ts";
import type { Close } from "../close-codes.ts";
import type { Dialled } from "../dial.ts";
import { openSession, type LiveSession } from "../live-session.ts";
import type { Opening } from "../opening.ts";
import { TOO_MUCH } from "../own-closes.ts";
import { RENEW_MS } from "../registration.ts";
import type { ResumeSession } from "../resume/resume-session.ts";
import type { PassedMessage } from "../resume/ring.ts";
import type { Flush } from "../resume/stored-session.ts";
import { createClientLine, type ClientLine, type LineConnection } from "./client-line.ts";
import type { HeldStore } from "./held-store.ts";
import { countBudgetClosed, countReconnect, countUnknown } from "../told-counts.ts";
import { createWakeUp } from "../../wake-up.ts";
import type { HeldTerms } from "./held-terms.ts";
import { createUpstreamLine, type OpenDial } from "./upstream-line.ts";

/** What a session that is held is made of. */
export interface HeldParts {
  readonly opening: Opening;
  readonly held: HeldTerms;
  readonly dialled: OpenDial;
  readonly origin: string | null;
  readonly resume: ResumeSession;
  /** Undefined: it ends with its object. */
  readonly store: HeldStore | undefined;
  /** The client's first messages, which the upstream is to be told before anything else. */
  readonly firsts: readonly PassedMessage[];
}

/** The object that it lives in. */
export interface HeldSessionHost {
  /** Dials the upstream for the nth time, at another target than one that is `avoided` if there is one. */
  redial(count: number, avoided: string | null): Promise<Dialled>;
  abort(): void;
  renew(now: number): void;
  /** Something about it has changed that operators look for. */
  changed(): void;
  ended(): void;
}

/** A session whose client or upstream may be away. */
export interface HeldSession {
  readonly session: LiveSession;
  readonly resume: ResumeSession;
  readonly client: ClientLine;
  /** Writes what has happened: before anybody is told of it. */
  save(now: number): void;
  /** The first client, or one that is back. */
  attach(socket: WebSocket, attached: LineConnection): void;
  /** A client is back, perhaps to what has ended; what it sends again is forgotten. */
  resumed(opening: Opening): void;
}

const OVERFLOW = { code: 4413, reason: "more came for this session than can be held" };

/** Begins a session that is held; no client is attached yet. */
export function openHeldSession(parts: HeldParts, host: HeldSessionHost): HeldSession {
  const { opening, held, dialled, origin, resume, store } = parts;
  const firsts = [...parts.firsts];
  const { reconnect, control } = held;
  const isPlain = store === undefined && !control;
  const wakeUp = createWakeUp(wake, RENEW_MS);
  let resumes = resume.status().restarts > 0 ? 1 : 0;
  let replayed = 0;
  let { address } = opening.client;
  let hasEnded = false;
  let isStored = true;
  let joined: Bridge | undefined;

  const client = createClientLine({
    resume,
    held,
    maxBuffered: opening.fromUpstream.maxBuffered,
    settle,
    changed: () => host.changed(),
    overflow: () => overflow(resume.state === "live" ? TOO_MUCH : OVERFLOW),
    drop: () => drop(),
  });
  const upstream = createUpstreamLine(dialled, {
    reconnect,
    firsts,
    mostFirsts: reconnect?.replayFirst ?? 0,
    redial: (count, avoided) => host.redial(count, avoided),
    redialled: (outcome) => countReconnect(opening.route, outcome),
    lost: (unanswered) => countUnknown(opening.route, unanswered),
    changed: () => host.changed(),
    overflow: () => overflow(TOO_MUCH),
  });

  function overflow(close: Close): void {
    if (joined?.isClosing() === false) countBudgetClosed(opening.route);
    joined?.close(close, TOO_MUCH);
  }

  function save(now: number, isDue = false): void {
    if (store === undefined || hasEnded || resume.state === "over") return;
    resume.setWaiting(client.arrived - upstream.passed, now);
    const batch = isDue ? resume.takeFlush(now) : resume.flush(now);
    if (batch === undefined) return;
    if (upstream.isRepeatable) return write(batch);
    // No origin could be told after a crash who the client is.
    if (isStored) void store.erase();
    isStored = false;
  }

  /** What cannot be written is as if it had not come: who comes back is told what was written before. */
  function write(batch: Flush): void {
    try {
      store?.write(batch, firsts);
    } catch (error) {
      console.error(JSON.stringify({ level: "error", message: "web-socket-store", error: String(error) }));
      hasEnded = true;
      host.abort();
    }
  }

  /** What is due by now is written and acknowledged, in this order. */
  function settle(now: number): void {
    if (hasEnded) return;
    if (isPlain && resume.state === "live") return;
    save(now, true);
    if (hasEnded) return;
    const n = resume.takeAck(now);
    if (n !== undefined) client.tell({ kind: "ack", n });
    const at = resume.nextAt();
    wakeUp.in(at === null ? null : Math.max(1, at - now));
  }

  function wake(): void {
    const now = Date.now();
    if (resume.state === "held" && resume.isExpired(now)) client.expire();
    else settle(now);
  }

  const lines = {
    client,
    upstream,
    openedAt: resumes > 0 ? resume.openedAt : null,
    state: () => (resume.state === "held" ? "held" : upstream.isAway ? "reconnecting" : "open"),
    get resumes() {
      return resumes;
    },
    get replayed() {
      return replayed;
    },
    get reconnects() {
      return upstream.reconnects;
    },
    get address() {
      return address;
    },
    get target() {
      return upstream.target;
    },
    sendAway: (reason: string) => client.sendAway(reason),
    announce(inMs: number) {
      if (control) client.tell({ kind: "drain", inMs });
    },
  } as const;
  const ended = (): void => {
    wakeUp.end();
    hasEnded = true;
    // What has ended is not to be found again after a crash.
    void store?.erase();
    host.ended();
  };
  function drop(): void {
    hasEnded = true;
    // Else who answers no close could come back to what has ended.
    void Promise.resolve(store?.erase()).then(() => host.abort());
  }

  // Of one that has not heard of the end, it may come back for that; its connection goes with the object later.
  const abort = (): void => (client.leave() ? undefined : drop());
  const renew = (now: number): void => host.renew(now);
  const opened = openSession({ opening, dialled, origin, lines }, { abort, renew, ended });
  ({ joined } = opened);
  return {
    session: opened.session,
    resume,
    client,
    save,
    attach(socket, attached) {
      replayed += attached.replay.length;
      client.attach(socket, attached);
      settle(Date.now());
    },
    resumed({ validUntil, client: { address: latest } }) {
      if (hasEnded) return;
      address = latest;
      resumes += 1;
      if (store !== undefined) {
        joined?.forgetWaiting();
        upstream.forget(client.arrived);
      }
      opened.setValidUntil(validUntil);
      host.changed();
    },
  };
}
