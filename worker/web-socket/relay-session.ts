import { EVENT } from "../../objects/web-socket-relay/callback/event-reply.ts";
import type { FlowLimits } from "../../objects/web-socket-relay/flow.ts";
import {
  OPENING,
  REFUSAL,
  TARGET,
  TRIES,
  toField,
  type Opening,
  type Place,
  type Refusal,
} from "../../objects/web-socket-relay/opening.ts";
import { newBridge, relayAt } from "../../objects/web-socket-relay/relay-stub.ts";
import type { LimitKey, MessageLimits, WebSocketSettings } from "../../schemas/index.ts";
import { askHeld, HELD_FIELDS } from "./ask-held.ts";
import { rejectAfterUpgrade, rejectionBy } from "./reject-after-upgrade.ts";
import { knownRefusal, noteRefusal } from "./full-places.ts";
import { credentialNames, sharedName, sharedTerms } from "./shared-name.ts";
import { createDependency } from "../dependencies/dependency.ts";
import { ERRORS, GatewayError, type ErrorCode } from "../errors.ts";
import type { Exchange, ExchangeNotes, Handler } from "../exchange.ts";
import { clientAddress } from "../limits/client-address.ts";

/** Each session has an object to itself, so one that fails says little of the next. */
const relays = createDependency({ kind: "WebSocketRelay", remembers: 16 });

/** The object keeps the handshake's deadline itself, and asks for places before. */
const GRACE_MS = 3_000;

/**
 * Opens a session: an object of its own dials the upstream by the tail of this route, and relays from then on.
 *
 * @param mark of the route, by which the session learns of its change.
 */
export function relaySession(settings: WebSocketSettings, mark: string): Handler {
  const { mode, handshakeMs, idleMs, maxLifetimeMs, closeMs, fromClient, fromUpstream, maxBuffered } = settings;
  const terms = {
    mode,
    handshakeMs,
    idleMs,
    maxLifetimeMs,
    closeMs,
    fromClient: flowLimits(fromClient, maxBuffered),
    fromUpstream: flowLimits(fromUpstream, maxBuffered),
  };
  const { held, shared, callback, onRouteChange, drainMs, rejectAfterUpgrade: rejectsLater } = settings;
  const changing =
    onRouteChange === "keep" ? {} : { onChange: { mark, drainMs: onRouteChange === "drain" ? drainMs : 0 } };
  const sharing = shared === undefined ? {} : { shared: sharedTerms(shared) };
  const calling = callback === undefined ? {} : { callback: { ...callback, ping: callback.ping ?? null } };
  // Nobody sees the end of a splice, so nobody could count those that are open.
  const isCounted = mode !== "splice";

  return async function relay(exchange: Exchange): Promise<Response> {
    const { env, request, requestId, route, configVersion, client, principal, placement, validUntil } = exchange;
    const { address, forwardedFor } = client;
    const places = isCounted ? await placesOf(exchange, settings) : [];
    const asked = held === undefined ? undefined : await askHeld(exchange, held);
    // Who comes back to a session has its place already.
    const known = asked?.name === undefined ? knownRefusal(places, Date.now()) : undefined;
    if (known !== undefined) throw refused(known);
    const owner = shared === undefined ? asked?.name : await sharedName(exchange, shared);
    const object = objectFor(env, mode, owner);
    const opening: Opening = {
      v: 1,
      ...terms,
      ...(asked === undefined ? {} : { held: asked.terms }),
      ...sharing,
      ...calling,
      ...changing,
      // A session that sleeps is found by its object, whatever has become of the listing.
      session: callback === undefined ? (asked?.session ?? crypto.randomUUID()) : object,
      route: route.route.id,
      configVersion,
      requestId,
      client: { address, forwardedFor },
      principal: principal === address ? null : principal,
      ...(placement === undefined ? {} : { placement }),
      validUntil: validUntil ?? null,
      places,
    };
    const asking = new Request(asked?.url ?? request.url, { headers: exchange.outgoing ?? request.headers });
    const { headers } = asking;
    for (const name of exchange.fields.connectionNames) if (name !== "upgrade") headers.delete(name);
    if (shared?.between === "anyone") for (const name of credentialNames(shared)) headers.delete(name);
    // Origins take them for the gateway's own, whichever route a client has chosen.
    for (const field of HELD_FIELDS) headers.delete(field);
    if (asked !== undefined) headers.set("x-ws-session", asked.session);
    headers.set(OPENING, toField(opening));
    const ask = () => relayAt(env, object).fetch(asking);
    const deadlineMs = handshakeMs + GRACE_MS;
    const answer = await relays.call(object, ask, { deadlineMs }).catch((cause: unknown) => noRelay(object, cause));
    // A backend of events could have written the rest.
    if (callback === undefined) noteTries(exchange, answer);
    exchange.notes.isCounted = true;
    const refusal = answer.headers.get(REFUSAL);
    if (refusal !== null) throw refusedBy(JSON.parse(refusal), places);
    const { webSocket } = answer;
    const isOpen = webSocket !== null;
    const passed = isOpen
      ? new Response(null, { status: 101, webSocket, headers: answer.headers })
      : new Response(answer.body, answer);
    // Where the origin is, is none of the client's business, nor what it says to the gateway.
    for (const name of [TARGET, TRIES, EVENT.state, EVENT.close]) passed.headers.delete(name);
    if (isOpen || callback === undefined || !rejectsLater) return passed;
    void answer.body?.cancel();
    return rejectAfterUpgrade(exchange, rejectionBy(answer), closeMs);
  };
}

/** Notes where its object has dialled, if it has. */
function noteTries({ notes }: Exchange, { headers }: Response): void {
  const target = headers.get(TARGET);
  if (target) notes.target = target;
  const tries: Pick<ExchangeNotes, "retried" | "retryStop"> = JSON.parse(headers.get(TRIES) ?? "{}");
  Object.assign(notes, tries);
}

/** Splices in one object of this isolate's; an object to each would be 350 KB of memory, for as long as it can still be cut. */
const IN_ONE_OBJECT = 1_000;

let holder: { readonly object: string; readonly left: number } | undefined;

/** The id of the object for a session. @param owner its name, where several handshakes have to find the same. */
function objectFor(env: Env, mode: Opening["mode"], owner: string | undefined): string {
  const { WEB_SOCKET_RELAY: objects } = env;
  if (owner !== undefined) return objects.idFromName(owner).toString();
  if (mode === "splice") return spliceHolder(env);
  return mode === "bridge" ? newBridge(env) : objects.newUniqueId().toString();
}

function spliceHolder(env: Env): string {
  const { object, left } = holder ?? { object: newBridge(env), left: IN_ONE_OBJECT };
  holder = left > 1 ? { object, left: left - 1 } : undefined;
  return object;
}

function flowLimits(limits: MessageLimits, maxBuffered: number): FlowLimits {
  const { messagesPerSecond = null, bytesPerSecond = null } = limits;
  return { ...limits, messagesPerSecond, bytesPerSecond, maxBuffered };
}

function placesOf(exchange: Exchange, { sessions }: WebSocketSettings): Promise<Place[]> {
  const isKnown = exchange.principal !== exchange.client.address;
  const wanted: readonly [
    key: LimitKey["kind"] & ("ip" | "principal" | "route"),
    field: string,
    most: number | undefined,
  ][] = [
    ["ip", "sessionsPerAddress", sessions.address],
    ["principal", "sessionsPerPrincipal", isKnown ? sessions.principal : undefined],
    ["route", "sessionsPerRoute", sessions.route],
  ];
  const places = wanted.map(async ([kind, field, most]): Promise<readonly Place[]> => {
    if (most === undefined) return [];
    const { name, client } = await clientAddress(exchange, [{ kind }], kind === "ip" ? "pooled" : "own");
    return [{ owner: name, client, policy: `web-socket:${exchange.route.route.id}:${field}`, most }];
  });
  return Promise.all(places).then((found) => found.flat());
}

function refusedBy(refusal: Refusal, places: readonly Place[]): GatewayError {
  noteRefusal(refusal, places, Date.now());
  return refused(refusal);
}

function refused({ code, detail, retryAfter }: Refusal): GatewayError {
  const known: ErrorCode = isErrorCode(code) ? code : "internal-error";
  return new GatewayError(known, { detail, headers: retryAfter === null ? {} : { "retry-after": retryAfter } });
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

function noRelay(object: string, cause: unknown): never {
  // The next splices find another one.
  if (holder?.object === object) holder = undefined;
  throw new GatewayError("dependency-unavailable", {
    detail: "The object that was to relay this session does not answer.",
    headers: { "retry-after": "1" },
    cause,
  });
}
