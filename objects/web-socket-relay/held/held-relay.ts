import { closedAtOnce } from "../closed-at-once.ts";
import { dial, type Dialled, type Dialler, type DialProps } from "../dial.ts";
import type { LiveSession } from "../live-session.ts";
import type { Opening, Refusal } from "../opening.ts";
import type { Places } from "../places.ts";
import { notOpened, refused } from "../refused.ts";
import { SUPERSEDED, type ResumeRules } from "../resume/resume-rules.ts";
import type { Refused, ResumeSession } from "../resume/resume-session.ts";
import { createResumeSession, NO_SUCH_SESSION, restoreResumeSession } from "../resume/session.ts";
import type { StoredSession } from "../resume/stored-session.ts";
import type { LineConnection } from "./client-line.ts";
import { openHeldSession, type HeldSession } from "./held-session.ts";
import { openHeldStore, type HeldStore } from "./held-store.ts";
import { countResume } from "../told-counts.ts";
import type { HeldTerms } from "./held-terms.ts";

/** The object that a session which is held lives in. */
export interface HeldHost {
  readonly storage: DurableObjectStorage;
  dialler(props: DialProps): Dialler;
  places(opening: Opening): Places;
  began(session: LiveSession): void;
  changed(session: LiveSession): void;
  renew(session: LiveSession, places: Places, now: number): void;
  /** @param keptMs so long it is remembered how it ended. */
  ended(id: string, places: Places, keptMs: number): void;
  abort(): void;
}

/** Takes in whoever comes for the one session of an object. */
export interface HeldRelay {
  /** Answers a handshake, or a plain GET that asks what is known of the session. */
  fetch(request: Request, opening: Opening, held: HeldTerms): Promise<Response>;
}

/** Connections that were taken over and never closed, and what they were sent of the ring, which nobody may have read. */
const MOST_LEAVING = 32;
const MOST_LEAVING_BYTES = 8 * 2 ** 20;

const IN_USE: Refused = { kind: "refused", code: SUPERSEDED, reason: "this session is being opened" };
const NOT_YOURS: Refusal = {
  code: "forbidden",
  detail: "This session belongs to another client, or to another route.",
  retryAfter: null,
};
const UNKNOWN: Refusal = { code: "not-found", detail: "No such session is held here.", retryAfter: null };
const OTHER_LEVEL: Refusal = {
  code: "invalid-request",
  detail: "_ws_ctl: wanted what the session was opened with.",
  retryAfter: null,
};
const TOO_MANY_LEFT: Refusal = {
  code: "too-many-connections",
  detail: "Too many connections of this session were taken over and are not closed.",
  retryAfter: "5",
};

/** Makes the relay of an object. */
export function createHeldRelay(host: HeldHost): HeldRelay {
  /** The session, also for a while after its end: who comes back then is told of that. */
  let known: { readonly held: HeldTerms; readonly session: HeldSession; protocol: string | null } | undefined;
  let opened: Opening | undefined;
  /** What the upstream is dialled with: the latest handshake, for whom it was. */
  let asked: Request | undefined;
  let isOpening = false;
  /** The latest that has ended. */
  let before: HeldSession | undefined;
  let store: HeldStore | undefined;

  function storeOf({ durable, owner }: HeldTerms): HeldStore | undefined {
    if (durable && owner !== null) store ??= openHeldStore(host.storage);
    return store;
  }

  function status({ maxLifetimeMs }: Opening, held: HeldTerms, now: number): Response {
    if (known !== undefined) {
      const { session } = known;
      if (known.held.owner !== held.owner) return refused(NOT_YOURS);
      const { last, hasHeard } = session.client;
      if (session.resume.state === "over" && !hasHeard) return refused(UNKNOWN);
      session.save(now);
      const { resume } = session;
      // Who was refused by a close code, or told of the end, knows by these what it was.
      const over = last !== undefined || hasHeard;
      return document({ ...resume.status(), connection: resume.connection, over });
    }
    const stored = storeOf(held)?.load()?.session;
    if (stored === undefined) return refused(UNKNOWN);
    if (stored.owner !== held.owner) return refused(NOT_YOURS);
    const resume = restore(stored, { held, maxLifetimeMs }, now);
    return resume === undefined ? refused(UNKNOWN) : document(resume.status());
  }

  function comeBack(request: Request, opening: Opening, held: HeldTerms): Response {
    if (known === undefined) return turnAway(request, opening, NO_SUCH_SESSION);
    const { session, protocol } = known;
    const { resume, client } = session;
    const now = Date.now();
    if (known.held.owner !== held.owner) return refused(NOT_YOURS);
    if (known.held.control !== held.control) return refused(OTHER_LEVEL);
    const mostBytes = Math.max(MOST_LEAVING_BYTES, 2 * held.ring.bytes);
    if (client.leaving >= MOST_LEAVING || client.leavingBytes > mostBytes) return refused(TOO_MANY_LEFT);
    session.save(now);
    const attached = resume.attach(claimOf(held), now);
    if (attached.kind === "refused") return turnAway(request, opening, attached);
    asked = new Request(request.url, { headers: request.headers });
    if (opened !== undefined) opened = { ...opened, client: opening.client };
    session.resumed(opening);
    return admit(session, { ...attached, hello: held.hello === true }, new Headers(protocolOf(protocol)));
  }

  function admit(session: HeldSession, attached: LineConnection, headers: Headers): Response {
    const { 0: outer, 1: inner } = new WebSocketPair();
    const { epoch, recv } = session.resume.status();
    headers.set("x-ws-session", session.session.describe().id);
    headers.set("x-ws-epoch", epoch);
    headers.set("x-ws-recv", String(recv));
    session.attach(inner, attached);
    return new Response(null, { status: 101, webSocket: outer, headers });
  }

  async function open(request: Request, opening: Opening, held: HeldTerms): Promise<Response> {
    const stored = storeOf(held)?.load();
    const now = Date.now();
    if (stored === undefined && held.recv !== null) return turnAway(request, opening, NO_SUCH_SESSION);
    if (stored !== undefined && stored.session.owner !== held.owner) return refused(NOT_YOURS);
    const { maxLifetimeMs } = opening;
    const resume =
      stored === undefined
        ? createResumeSession({ epoch: crypto.randomUUID(), owner: held.owner ?? "", rules: rulesOf(held) }, now)
        : restore(stored.session, { held, maxLifetimeMs }, now);
    if (resume === undefined) {
      await store?.erase();
      return turnAway(request, opening, NO_SUCH_SESSION);
    }
    const first =
      stored === undefined
        ? { kind: "attached" as const, connection: 1, replay: [] }
        : resume.attach(claimOf(held), now);
    if (first.kind === "refused") return turnAway(request, opening, first);
    const places = host.places(opening);
    const taken = await places.take();
    if (taken !== undefined) return refused(taken);
    const again = new Request(request.url, { headers: request.headers });
    const dialled = await dial(request, opening, host.dialler(opening)).catch(async (error: unknown) => {
      await places.leave();
      throw error;
    });
    if (dialled.kind !== "open") {
      await places.leave();
      return notOpened(dialled);
    }
    asked = again;
    opened = opening;
    const session: HeldSession = openHeldSession(
      { opening, held, dialled, origin: request.headers.get("origin"), resume, store, firsts: stored?.firsts ?? [] },
      {
        redial,
        abort: () => host.abort(),
        renew: (at) => host.renew(session.session, places, at),
        changed: () => host.changed(session.session),
        ended() {
          // Who was away, or has not answered, is told of the end when it comes back.
          const { last, hasHeard } = session.client;
          // And whoever is back may not know yet that it is this session that has ended.
          const mayAsk = hasHeard && session.session.describe().resumes > 0;
          const keptMs = last !== undefined ? held.holdMs : mayAsk ? opening.closeMs : 0;
          host.ended(opening.session, places, keptMs);
          if (keptMs === 0) known = undefined;
          before = session;
          if (keptMs > 0 || session.client.leaving > 0) setTimeout(forget, keptMs || opening.closeMs, session);
        },
      },
    );
    known = { held, session, protocol: dialled.headers.get("sec-websocket-protocol") };
    if (stored !== undefined) countResume(opening.route, "restored");
    host.began(session.session);
    // Behind the 101, and not with the first batch: whoever is killed in its first moments is to be found again too.
    if (store !== undefined) setTimeout(() => session.save(Date.now()), 0);
    return admit(session, { ...first, hello: held.hello === true }, dialled.headers);
  }

  function forget(session: HeldSession): void {
    if (known?.session === session) known = undefined;
    // Connections that were taken over and never closed: there is no way to drop them but with the object.
    if (session.client.leaving > 0 && known === undefined && !isOpening) host.abort();
  }

  async function redial(count: number, avoided: string | null): Promise<Dialled> {
    if (asked === undefined || opened === undefined) throw new Error("nothing was dialled before");
    const headers = new Headers(asked.headers);
    headers.set("x-ws-reconnect", String(count));
    return dial(new Request(asked.url, { headers }), opened, host.dialler({ ...opened, avoided }));
  }

  return {
    async fetch(request, opening, held) {
      if (held.isStatus) return status(opening, held, Date.now());
      if (isOpening) return turnAway(request, opening, IN_USE);
      if (known !== undefined) return comeBack(request, opening, held);
      // They go with the object, which another session would keep.
      if (held.recv === null && before !== undefined && before.client.leaving > 0) return refused(TOO_MANY_LEFT);
      isOpening = true;
      try {
        return await open(request, opening, held);
      } finally {
        isOpening = false;
      }
    },
  };
}

/** Undefined: it is gone. Its lifetime goes on while there is no object of it. */
function restore(
  stored: StoredSession,
  { held, maxLifetimeMs }: Pick<Opening, "maxLifetimeMs"> & { readonly held: HeldTerms },
  now: number,
): ResumeSession | undefined {
  const resume = restoreResumeSession(stored, rulesOf(held), now);
  return resume !== undefined && now < resume.openedAt + maxLifetimeMs ? resume : undefined;
}

function rulesOf({ holdMs, ring, control, durable }: HeldTerms): ResumeRules {
  return { holdMs, ring, control, stored: durable };
}

function claimOf({ owner, recv }: HeldTerms): { owner: string; recv: number | undefined } {
  return { owner: owner ?? "", recv: recv ?? undefined };
}

function document(body: object): Response {
  // Older gateways know no `_ws_hello`, and whoever asks for it has to know.
  return Response.json({ ...body, hello: true }, { headers: { "cache-control": "no-store" } });
}

/** With a status, or with a code after the 101: browsers show a page the code alone. */
function turnAway(request: Request, { route }: Opening, refusal: Refused): Response {
  if ("status" in refusal) return refused(NOT_YOURS);
  countResume(route, refusal.code);
  return closedAtOnce(request, refusal.code, refusal.reason);
}

function protocolOf(protocol: string | null): Record<string, string> {
  return protocol === null ? {} : { "sec-websocket-protocol": protocol };
}
