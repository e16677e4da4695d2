import type { FlowLimits } from "./flow.ts";
import type { RouteTerms } from "./route-watch.ts";
import { isText, wanted } from "../message-checks.ts";
import type { HeldTerms } from "./held/held-terms.ts";
import type { CallbackTerms, SharedTerms } from "./mode-terms.ts";
import { SESSION_MODES, type SessionMode } from "./session-control.ts";

/** The field in which a Worker tells a relay what to open; a client's own never gets there. */
export const OPENING = "x-sluice-opening";
/** The field in which a relay tells the Worker that it refuses; an origin's own never gets there. */
export const REFUSAL = "x-sluice-refusal";
/** The field in which whoever has dialled says to which target; empty: to none. */
export const TARGET = "x-sluice-target";
/** The field in which whoever has dialled says how often, as JSON; absent: once. */
export const TRIES = "x-sluice-tries";
/** The field in which whoever has dialled says by which configuration of the route. */
export const MARK = "x-sluice-mark";

/** What a Worker asks a relay to open. It travels as JSON: numbers that mean "none" are null. */
export interface Opening {
  readonly v: 1;
  readonly mode: SessionMode;
  /** The session's id: random, at most 64 letters, digits and dashes. */
  readonly session: string;
  readonly route: string;
  readonly configVersion: number;
  readonly requestId: string;
  readonly client: { readonly address: string; readonly forwardedFor: string };
  /** Null: nobody is known but the address. */
  readonly principal: string | null;
  /** Where the tail of the route is to send it; absent: to the route's own backend. */
  readonly placement?: { readonly backend: string; readonly variant?: string };
  /** When the credentials of the principal end, in ms since the epoch; null: never. */
  readonly validUntil: number | null;
  readonly handshakeMs: number;
  readonly idleMs: number;
  readonly maxLifetimeMs: number;
  readonly closeMs: number;
  readonly fromClient: FlowLimits;
  readonly fromUpstream: FlowLimits;
  /** With mode `held`. */
  readonly held?: HeldTerms;
  /** With mode `shared`. */
  readonly shared?: SharedTerms;
  /** With mode `callback`. */
  readonly callback?: CallbackTerms;
  /** What happens when its route changes; absent: nothing. */
  readonly onChange?: RouteTerms;
  /** What has to count the session before it is dialled. */
  readonly places: readonly Place[];
}

/** One of a limited number of sessions, at the owner of whoever has them. */
export interface Place {
  /** The owner's name. */
  readonly owner: string;
  /** The client's handle: its row there. */
  readonly client: string;
  readonly policy: string;
  /** How many there are. */
  readonly most: number;
}

/** Why there is no session, where it is the gateway that refuses it: the origin's own refusals are passed on as they are. */
export interface Refusal {
  /** One of the gateway's error table. */
  readonly code: string;
  readonly detail: string;
  /** In seconds, as text; null: nobody knows. */
  readonly retryAfter: string | null;
  /** The policy of the place that there was none of; absent: it was for something else. */
  readonly place?: string;
}

/** Writes a value so that a header field can hold it. */
export function toField(value: Opening | Refusal): string {
  return JSON.stringify(value).replaceAll(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Reads what a Worker asks. @throws TypeError for anything but an opening of this version. */
export function readOpening(field: string | null): Opening {
  const opening: Opening = JSON.parse(field ?? "{}");
  const { v, mode, session, route } = opening;
  if (v !== 1) throw new TypeError(wanted("v", v, "1; deploy the Worker and its objects together"));
  if (!SESSION_MODES.includes(mode)) throw new TypeError(wanted("mode", mode, SESSION_MODES.join(", ")));
  if (!isText(session, 64)) throw new TypeError(wanted("session", session, "1 to 64 characters"));
  if (!isText(route, 256)) throw new TypeError(wanted("route", route, "1 to 256 characters"));
  return opening;
}
