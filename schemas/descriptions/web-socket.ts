import {
  CallbackSchema,
  DEFAULT_SHARED,
  DEFAULT_WEB_SOCKET,
  MessageLimitsSchema,
  SharedSchema,
  WebSocketSchema,
} from "../policies/web-socket.ts";
import { formatMs } from "../values/duration.ts";
import { heldSocketSections } from "./held-socket.ts";
import { enabled, section } from "./section.ts";

const { handshakeMs, idleMs, maxLifetimeMs, closeMs, drainMs, sessions, fromClient } = DEFAULT_WEB_SOCKET;

const webSocket = section(
  "WebSocket",
  WebSocketSchema,
  "WebSockets, relayed by an object of the session's own. `true` relays bytes as they are, for pages of the same host. A bare number counts milliseconds.",
  {
    enabled,
    mode: {
      meaning:
        '`"splice"` passes bytes on as they are, seen by nobody: pings, fragments, messages of any size, with backpressure. `"bridge"` passes messages on one by one, with the limits below. `"held"` does that and keeps sessions when a client or the origin is lost. `"shared"` serves many clients over one connection to the origin. `"callback"` keeps the client\'s connection alone and gives the origin each message as a request.',
      standard:
        '`"splice"`; `"bridge"` where something is configured that only it can do; the mode whose section is written',
    },
    held: { meaning: 'How sessions outlive connections, with mode `"held"`.', standard: "its defaults" },
    shared: { meaning: 'How one connection is shared, with mode `"shared"`.', standard: "its defaults" },
    callback: { meaning: 'How messages become requests, with mode `"callback"`.', standard: "its defaults" },
    required: { meaning: "Refuses requests that are no handshake: 426 `upgrade-required`.", standard: "`false`" },
    origins: {
      meaning:
        'Web pages that may connect: `"same-host"`, an origin such as `"https://app.example.com"` or `"https://*.example.com"`, or `"*"`. What is written replaces the default. Others get 403 `origin-not-allowed`.',
      standard: '`["same-host"]`',
    },
    requireOrigin: {
      meaning: "Refuses handshakes without an `Origin`, which come from no browser.",
      standard: "`false`",
    },
    rejectAfterUpgrade: {
      meaning:
        "Tells a refusal of the gateway as a close code after a 101, which scripts in browsers can read: 4401, 4403, 4429, 1013, 1014 or 1008, with the error's code as its reason; with `callback` also a refusal of the backend.",
      standard: "`false`",
    },
    handshakeTimeout: {
      meaning: "How long the origin may take to answer a handshake: 504 `upstream-timeout`.",
      standard: `\`"${formatMs(handshakeMs)}"\``,
    },
    idle: {
      meaning: "Longest silence, of both sides and counted in messages, not pings: closed with 4408. Bridges.",
      standard: `\`"${formatMs(idleMs)}"\``,
    },
    maxLifetime: {
      meaning: "Longest session: closed with 1012, a splice without a word.",
      standard: `\`"${formatMs(maxLifetimeMs)}"\``,
    },
    closeTimeout: {
      meaning: "How long a side may take to answer a close before its connection is dropped. Bridges.",
      standard: `\`"${formatMs(closeMs)}"\``,
    },
    onRouteChange: {
      meaning:
        'What happens to open sessions when another configuration sends them elsewhere, sets them otherwise or has the route no more: `"keep"`, `"drain"` closes them with 1012 one by one, `"close"` at once. Noticed within 20 s.',
      standard: '`"drain"`',
    },
    drainTime: { meaning: "Over which time they are drained.", standard: `\`"${formatMs(drainMs)}"\`` },
    fromClient: { meaning: "What the client may send. Bridges.", standard: "its defaults" },
    fromUpstream: { meaning: "What the origin may send. Bridges.", standard: "its defaults" },
    maxBuffered: {
      meaning:
        "Bytes that wait, each way, while `bytesPerSecond` is used up; with more the session is closed with 1013. At most 32 MiB. Bridges.",
      standard: '`"1MiB"`',
    },
    sessionsPerPrincipal: {
      meaning:
        "Sessions that one who was authenticated may have open at once: 429 `too-many-connections`. At most 250. Bridges.",
      standard: `\`${sessions.principal}\``,
    },
    sessionsPerAddress: {
      meaning: "The same of one address, or of one /64 of IPv6. At most 250. Bridges.",
      standard: `\`${sessions.address}\``,
    },
    sessionsPerRoute: { meaning: "The same of the whole route. At most 250. Bridges.", standard: "any number" },
    newSessions: {
      meaning:
        "How often sessions may be opened, as a rate limit: 429 `too-many-connections`. Counted after the route's own limits.",
      standard: "as often as those allow",
    },
  },
);

const messageLimits = section("MessageLimits", MessageLimitsSchema, "What one side of a bridged WebSocket may send.", {
  maxMessage: {
    meaning: "Bytes of the largest message, at most 32 MiB: closed with 1009.",
    standard: '`"1MiB"` from a client, `"16MiB"` from an origin',
  },
  messagesPerSecond: {
    meaning: "Messages a second, or `false`: closed with 1008.",
    standard: `\`${fromClient.messagesPerSecond}\` from a client, any number from an origin`,
  },
  messageBurst: { meaning: "Messages at once.", standard: "twice `messagesPerSecond`" },
  bytesPerSecond: {
    meaning:
      "Bytes a second, or `false`, which lets a peer that reads slowly fill the memory of the gateway; a message counts as 256 at least.",
    standard: '`"1MiB"`',
  },
  byteBurst: { meaning: "Bytes at once.", standard: '`"8MiB"`' },
});

const shared = section(
  "SharedWebSocket",
  SharedSchema,
  "One connection to the origin for all clients of a URL. It is dialled with the first client's handshake and closed after the last has left.",
  {
    by: {
      meaning: "What else tells clients apart, as in a rate limit: those that differ have connections of their own.",
      standard: "nothing",
    },
    between: {
      meaning:
        '`"credentials"`: only clients that send the same `Authorization`, `Cookie` and API keys share, as the origin may answer by them. `"anyone"`: everybody does; the origin is dialled without any of these.',
      standard: '`"credentials"`',
    },
    clientMessages: {
      meaning:
        'Whether what clients say goes to the origin (`"forward"`), which cannot tell them apart, or nowhere (`"drop"`).',
      standard: '`"forward"`',
    },
    maxClients: {
      meaning: "Clients of one connection, at most 5,000: 429 `too-many-connections` beyond.",
      standard: `\`${DEFAULT_SHARED.maxClients}\``,
    },
    linger: {
      meaning: "How long the connection stays when the last client has left.",
      standard: `\`"${formatMs(DEFAULT_SHARED.lingerMs)}"\``,
    },
    window: {
      meaning:
        "Bytes that a client is sent before it has to say something, whatever it is; then messages wait, up to `maxBuffered`. Bounds what a client that does not read can hold.",
      standard: "any number: clients need never speak",
    },
    overflow: {
      meaning:
        'What happens when more than `maxBuffered` waits: `"close"` with 1013 (the client with its window, or all when the origin is too fast), or `"drop-oldest"`.',
      standard: '`"close"`',
    },
    reconnect: {
      meaning:
        "Whether a connection that is lost (or closed with 1001, 1012 or 1013) is dialled again for 30 s while clients stay. What they say meanwhile waits, up to 256 KiB.",
      standard: "`false`",
    },
  },
);

const callback = section(
  "CallbackWebSocket",
  CallbackSchema,
  "The origin gets `$connect`, each message and `$disconnect` as POST requests, and needs no WebSockets.",
  {
    batch: {
      meaning:
        "Messages in one request at most. With 1 the message is the request's body; with more, bodies are `application/websocket-events`.",
      standard: "`1`",
    },
    onFailure: {
      meaning:
        'When the origin has not taken a message (no answer, or not a 2xx): `"close"` the session with 1014, or `"drop"` the message.',
      standard: '`"close"`',
    },
    ping: {
      meaning: "A text that clients may send to hear `pong`, by the runtime alone: the session goes on sleeping.",
      standard: "none",
    },
    pong: { meaning: "What is answered to `ping`.", standard: '`"pong"`' },
  },
);

/** WebSockets. */
export const webSocketSections = [webSocket, messageLimits, ...heldSocketSections, shared, callback];
