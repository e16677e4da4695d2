import { randomBytes } from "node:crypto";
import { shakeHands, type Handshake } from "./client.ts";
import type { Peer } from "./peer.ts";
import { eventually, type Relayed } from "./relayed.ts";

/** A session that can be resumed, both of whose ends are the test's. */
export interface Opened {
  /** What its client resumes it by. */
  readonly sid: string;
  /** What operators know it by. */
  readonly id: string;
  readonly client: Peer;
  readonly upstream: Peer;
}

/** What tests do with sessions that are held, each on a route. */
export interface HeldSessions {
  readonly open: (route: string, more?: string, headers?: Readonly<Record<string, string>>) => Promise<Opened>;
  /** @param more of the query, after the id. Default: nothing was received. */
  readonly comeBack: (route: string, sid: string, more?: string) => Promise<Handshake>;
  /** Comes back, and is let in. */
  readonly resume: (route: string, sid: string, more?: string) => Promise<Peer>;
  /** What a plain GET says. */
  readonly status: (route: string, sid: string) => Promise<{ readonly status: number; readonly body: unknown }>;
  /** As operators see it, who are told by another process. */
  readonly inState: (id: string, state: string) => Promise<Record<string, unknown>>;
  /** What was counted of each route, once it is all that is wanted. */
  readonly counted: (isAll: (routes: Counts) => boolean) => Promise<Counts>;
}

/** Of each route, by name. */
export type Counts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** How whoever comes to a session ends that there is not any more. */
export const NEW_SESSION = { code: 4410, reason: "this session is gone", by: "fin" };

/** @param relayed asked when there is something to do: it is started later. */
export function heldSessions(relayed: () => Relayed): HeldSessions {
  function comeBack(route: string, sid: string, more = "&_ws_recv=0"): Promise<Handshake> {
    return shakeHands(relayed().gateway.url, { path: `/${route}/held?_ws_session=${sid}${more}` });
  }

  return {
    async open(route, more = "", headers = {}) {
      const sid = newSession();
      const [made, upstream] = await Promise.all([
        shakeHands(relayed().gateway.url, { path: `/${route}/held?mark=${sid}.&_ws_session=${sid}${more}`, headers }),
        relayed().origin.accept(`${sid}.`),
      ]);
      if (made.kind !== "open") throw new Error(made.body);
      return { sid, id: fieldOf(made, "x-ws-session") ?? "", client: made.peer, upstream };
    },
    comeBack,
    async resume(route, sid, more) {
      const made = await comeBack(route, sid, more);
      if (made.kind !== "open") throw new Error(made.body);
      return made.peer;
    },
    async status(route, sid) {
      const response = await fetch(`${relayed().gateway.url}/${route}/held?_ws_session=${sid}`, {
        headers: { accept: "application/json" },
      });
      return { status: response.status, body: await response.json() };
    },
    inState(id, state) {
      return eventually(`a session that is ${state}`, async () => {
        const told: Record<string, unknown> = JSON.parse(JSON.stringify(await relayed().admin("GET", `sockets/${id}`)));
        return told["state"] === state ? told : undefined;
      });
    },
    counted(isAll) {
      return eventually("what was counted", async () => {
        const told: { routes: Counts } = JSON.parse(
          JSON.stringify(await relayed().admin("GET", "sockets?summary=true")),
        );
        return isAll(told.routes) ? told.routes : undefined;
      });
    },
  };
}

/** An id that nobody has. */
export function newSession(): string {
  return randomBytes(16).toString("base64url");
}

/** A field of an answer. @param name in lower case. */
export function fieldOf({ headers }: Handshake, name: string): string | undefined {
  return headers.find(([one]) => one.toLowerCase() === name)?.[1];
}

/** What a peer hears next; what is no text is told as it is. */
export async function texts(peer: Peer, count: number): Promise<unknown[]> {
  const heard: unknown[] = [];
  while (heard.length < count) {
    const one = await peer.hear();
    heard.push("text" in one ? one.text : one);
  }
  return heard;
}
