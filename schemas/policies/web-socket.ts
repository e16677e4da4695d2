import * as v from "valibot";
import { closedObject } from "../document/closed-object.ts";
import { byteSize, inMemory } from "../values/byte-size.ts";
import { duration } from "../values/duration.ts";
import { flag, integer, listOf, oneOf } from "../values/primitives.ts";
import type { CallbackSettings, MessageLimits, SharedSettings, WebSocketSettings } from "../web-socket-types.ts";
import { HeldSchema, RECONNECT_FIELDS, resolveHeld } from "./held-socket.ts";
import { isOn, removable, SECTION, switchable } from "./policy.ts";
import { limitKeys } from "./rate-limit/limit-key.ts";
import { RateLimitSchema } from "./rate-limit/rate-limit.ts";
import { resolveRateLimits } from "./rate-limit/resolve.ts";

const MIB = 2 ** 20;

/** The runtime closes with 1009 whatever sends more to a socket that is read message by message. */
const MAX_MESSAGE = 32 * MIB;

const DEFAULT_CLIENT: MessageLimits = {
  maxMessage: MIB,
  messagesPerSecond: 100,
  messageBurst: 200,
  bytesPerSecond: MIB,
  byteBurst: 8 * MIB,
};

/** What mode `shared` means. */
export const DEFAULT_SHARED: SharedSettings = {
  by: [],
  between: "credentials",
  clientMessages: "forward",
  maxClients: 1_000,
  lingerMs: 5_000,
  window: undefined,
  overflow: "close",
  reconnect: false,
};

/** What `webSocket: true` means. */
export const DEFAULT_WEB_SOCKET: WebSocketSettings = {
  mode: "splice",
  held: undefined,
  shared: undefined,
  callback: undefined,
  required: false,
  origins: ["same-host"],
  requireOrigin: false,
  rejectAfterUpgrade: false,
  handshakeMs: 10_000,
  idleMs: 600_000,
  maxLifetimeMs: 86_400_000,
  closeMs: 5_000,
  onRouteChange: "drain",
  drainMs: 30_000,
  fromClient: DEFAULT_CLIENT,
  fromUpstream: { ...DEFAULT_CLIENT, maxMessage: 16 * MIB, messagesPerSecond: undefined },
  maxBuffered: MIB,
  sessions: { principal: 100, address: 200, route: undefined },
  newSessions: [],
};

const COUNT_OR_FALSE = "a whole number from 1, or false for any number";
const count = v.union([v.literal(false, COUNT_OR_FALSE), integer(1, undefined, COUNT_OR_FALSE)], COUNT_OR_FALSE);

/** Each session is a lease at the owner of its client, and an owner keeps 256 of them. */
const MOST_SESSIONS = 250;
const SESSIONS = `a whole number from 1 to ${MOST_SESSIONS}, which is what an owner can count, or false for any number`;
const sessions = v.union([v.literal(false, SESSIONS), integer(1, MOST_SESSIONS, SESSIONS)], SESSIONS);

const MESSAGE_LIMITS = {
  maxMessage: v.optional(
    v.pipe(
      byteSize(1),
      v.maxValue(MAX_MESSAGE, 'at most 32 MiB, which is what the runtime takes; mode "splice" has no limit'),
    ),
  ),
  messagesPerSecond: v.optional(count),
  messageBurst: v.optional(integer(1)),
  bytesPerSecond: v.optional(
    v.union([v.literal(false, "a size, or false"), byteSize(1)], 'a size such as "1MiB", or false for any rate'),
  ),
  byteBurst: v.optional(byteSize(1)),
};

/** What one side of a session may send. */
export const MessageLimitsSchema = closedObject(MESSAGE_LIMITS);

const ORIGIN =
  '"*", "same-host", or an origin as browsers send it, without a path: "https://app.example.com", "https://*.example.com", "capacitor://localhost"';
/** Applications in a browser's clothes have schemes of their own; `ws` is none that a page comes from. */
const origin = v.pipe(
  v.string(ORIGIN),
  v.toLowerCase(),
  v.regex(
    /^(?:\*|same-host|(?!wss?:)[a-z][a-z0-9+.-]*:\/\/(?:(?:\*\.)?[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?)$/,
    ORIGIN,
  ),
  // No browser sends a port that goes without saying.
  v.transform((written) => written.replace(/^(https:.*):443$|^(http:.*):80$/, "$1$2")),
);

/** A timer of the runtime counts milliseconds in 31 bits. */
const deadline = duration("ms", { max: 20 * 86_400_000 });

/** What only a session that is read message by message can keep to. */
const BRIDGE_ONLY = [
  "idle",
  "closeTimeout",
  "fromClient",
  "fromUpstream",
  "maxBuffered",
  "sessionsPerPrincipal",
  "sessionsPerAddress",
  "sessionsPerRoute",
] as const;

const SHARED = {
  by: v.optional(limitKeys),
  between: v.optional(oneOf(["credentials", "anyone"])),
  clientMessages: v.optional(oneOf(["forward", "drop"])),
  maxClients: v.optional(integer(1, 5_000)),
  linger: v.optional(duration("ms", { min: 0, max: 300_000 })),
  window: v.optional(byteSize(1)),
  overflow: v.optional(oneOf(["close", "drop-oldest"])),
  reconnect: v.optional(flag),
};

/** One connection to the origin for many clients. */
export const SharedSchema = closedObject(SHARED, { wanted: SECTION });

const PING = "a text of 1 to 256 characters";
const ping = v.pipe(v.string(PING), v.minLength(1, PING), v.maxLength(256, PING));

const CALLBACK = {
  batch: v.optional(integer(1, 100)),
  onFailure: v.optional(oneOf(["close", "drop"])),
  ping: v.optional(ping),
  pong: v.optional(ping),
};

/** Messages as requests. */
export const CallbackSchema = closedObject(CALLBACK, { wanted: SECTION });

/** Modes that have a section of their own. */
const SECTIONS = ["held", "shared", "callback"] as const;

const COUNTED = 'a known key: see "sessionsPerAddress" and "sessionsPerRoute"';

/** What is easily written a level too high, or has another name elsewhere. */
const ELSEWHERE = Object.fromEntries([
  ["maxConnections", COUNTED],
  ["maxSessions", COUNTED],
  ...Object.entries({
    '"upstreamReconnect" of "held"': RECONNECT_FIELDS,
    '"fromClient" or "fromUpstream"': Object.keys(MESSAGE_LIMITS),
    '"held"': ["hold", "ringMessages", "ringBytes", "resumeOn1001", "durable", "upstreamReconnect"],
    '"shared"': Object.keys(SHARED),
    '"callback"': Object.keys(CALLBACK),
  }).flatMap(([section, fields]) => fields.map((field) => [field, `a known key: this one stands in ${section}`])),
]);

/** WebSockets of a route. */
export const WebSocketSchema = v.pipe(
  closedObject(
    {
      enabled: v.optional(flag),
      mode: v.optional(oneOf(["splice", "bridge", "held", "shared", "callback"])),
      held: v.optional(HeldSchema),
      shared: v.optional(SharedSchema),
      callback: v.optional(CallbackSchema),
      required: v.optional(flag),
      origins: v.optional(listOf(origin, `an array of ${ORIGIN}`)),
      requireOrigin: v.optional(flag),
      rejectAfterUpgrade: v.optional(flag),
      handshakeTimeout: v.optional(duration("ms", { max: 300_000 })),
      idle: v.optional(deadline),
      maxLifetime: v.optional(deadline),
      closeTimeout: v.optional(duration("ms", { max: 60_000 })),
      onRouteChange: v.optional(oneOf(["keep", "drain", "close"])),
      drainTime: v.optional(duration("ms", { max: 900_000 })),
      fromClient: v.optional(MessageLimitsSchema),
      fromUpstream: v.optional(MessageLimitsSchema),
      maxBuffered: v.optional(inMemory),
      sessionsPerPrincipal: v.optional(sessions),
      sessionsPerAddress: v.optional(sessions),
      sessionsPerRoute: v.optional(sessions),
      newSessions: v.optional(removable(RateLimitSchema)),
    },
    { elsewhere: ELSEWHERE },
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const policy = dataset.value;
    const refuse = (key: string, message: string) =>
      addIssue({ message, path: [{ type: "object", origin: "value", input: { ...policy }, key, value: policy[key] }] });
    const [section, ...others] = SECTIONS.filter((name) => policy[name] !== undefined);
    const unseen = policy.mode === "splice" ? BRIDGE_ONLY.filter((field) => policy[field] !== undefined) : [];
    // A section says which mode was meant.
    if (unseen.length > 0 && section === undefined) {
      refuse("mode", `"bridge", or no ${unseen.join(", ")}: nobody sees the messages of a splice, nor its end`);
    }
    for (const other of others) refuse(other, `nothing beside "${section}": a session has one mode`);
    if (section !== undefined && others.length === 0 && (policy.mode ?? section) !== section) {
      refuse("mode", `"${section}", or no section "${section}"`);
    }
  }),
);

/** `webSocket`: a switch or the details. */
export const WebSocketPolicySchema = switchable(WebSocketSchema);

/** `webSocket` as it is written. */
export type WebSocketInput = v.InferOutput<typeof WebSocketPolicySchema>;

/** What a level says of WebSockets; undefined: an upgrade is not one, and goes to the origin as an ordinary request. */
export function resolveWebSocket(policy: WebSocketInput | undefined, route: string): WebSocketSettings | undefined {
  const standard = DEFAULT_WEB_SOCKET;
  if (policy === true) return standard;
  if (policy === undefined || policy === false || !isOn(policy)) return undefined;
  const isSeen = BRIDGE_ONLY.some((field) => policy[field] !== undefined);
  const mode = policy.mode ?? SECTIONS.find((name) => policy[name] !== undefined) ?? (isSeen ? "bridge" : "splice");
  return {
    mode,
    held: mode === "held" ? resolveHeld(policy.held ?? {}) : undefined,
    shared: mode === "shared" ? resolveShared(policy.shared ?? {}) : undefined,
    callback: mode === "callback" ? resolveCallback(policy.callback ?? {}) : undefined,
    required: policy.required ?? standard.required,
    origins: policy.origins ?? standard.origins,
    requireOrigin: policy.requireOrigin ?? standard.requireOrigin,
    rejectAfterUpgrade: policy.rejectAfterUpgrade ?? standard.rejectAfterUpgrade,
    handshakeMs: policy.handshakeTimeout ?? standard.handshakeMs,
    idleMs: policy.idle ?? standard.idleMs,
    maxLifetimeMs: policy.maxLifetime ?? standard.maxLifetimeMs,
    closeMs: policy.closeTimeout ?? standard.closeMs,
    onRouteChange: policy.onRouteChange ?? standard.onRouteChange,
    drainMs: policy.drainTime ?? standard.drainMs,
    fromClient: messageLimits(policy.fromClient, standard.fromClient),
    fromUpstream: messageLimits(policy.fromUpstream, standard.fromUpstream),
    maxBuffered: policy.maxBuffered ?? standard.maxBuffered,
    sessions: {
      principal: numberOf(policy.sessionsPerPrincipal, standard.sessions.principal),
      address: numberOf(policy.sessionsPerAddress, standard.sessions.address),
      route: numberOf(policy.sessionsPerRoute, standard.sessions.route),
    },
    newSessions: resolveRateLimits(
      { rateLimit: policy.newSessions },
      { id: `web-socket:${route}`, name: "new-sessions", multiplier: 1, multipliers: [1] },
    ),
  };
}

function resolveShared(written: v.InferOutput<typeof SharedSchema>): SharedSettings {
  const standard = DEFAULT_SHARED;
  return {
    by: written.by ?? standard.by,
    between: written.between ?? standard.between,
    clientMessages: written.clientMessages ?? standard.clientMessages,
    maxClients: written.maxClients ?? standard.maxClients,
    lingerMs: written.linger ?? standard.lingerMs,
    window: written.window,
    overflow: written.overflow ?? standard.overflow,
    reconnect: written.reconnect ?? standard.reconnect,
  };
}

function resolveCallback({
  batch,
  onFailure,
  ping: request,
  pong,
}: v.InferOutput<typeof CallbackSchema>): CallbackSettings {
  return { batch: batch ?? 1, onFailure: onFailure ?? "close", ping: request, pong: pong ?? "pong" };
}

function messageLimits(
  input: v.InferOutput<typeof MessageLimitsSchema> | undefined,
  standard: MessageLimits,
): MessageLimits {
  if (input === undefined) return standard;
  const messagesPerSecond = numberOf(input.messagesPerSecond, standard.messagesPerSecond);
  return {
    maxMessage: input.maxMessage ?? standard.maxMessage,
    messagesPerSecond,
    messageBurst: input.messageBurst ?? 2 * (messagesPerSecond ?? 0),
    bytesPerSecond: numberOf(input.bytesPerSecond, standard.bytesPerSecond),
    byteBurst: input.byteBurst ?? standard.byteBurst,
  };
}

function numberOf(written: number | false | undefined, standard: number | undefined): number | undefined {
  return written === false ? undefined : (written ?? standard);
}
