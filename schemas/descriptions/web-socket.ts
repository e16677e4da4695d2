import { DEFAULT_WEB_SOCKET, MessageLimitsSchema, WebSocketSchema } from "../policies/web-socket.ts";
import { formatMs } from "../values/duration.ts";
import { enabled, section } from "./section.ts";

const { handshakeMs, idleMs, maxLifetimeMs, closeMs, sessions, fromClient } = DEFAULT_WEB_SOCKET;

const webSocket = section(
  "WebSocket",
  WebSocketSchema,
  "WebSockets, relayed by an object of the session's own. `true` relays bytes as they are, for pages of the same host. A bare number counts milliseconds.",
  {
    enabled,
    mode: {
      meaning:
        '`"splice"` passes bytes on as they are, seen by nobody: pings, fragments, messages of any size, with backpressure. `"bridge"` passes messages on one by one, with the limits below.',
      standard: '`"splice"`; `"bridge"` where something is configured that only it can do',
    },
    required: { meaning: "Refuses requests that are no handshake: 426 `upgrade-required`.", standard: "`false`" },
    origins: {
      meaning:
        'Web pages that may connect: `"same-host"`, an origin such as `"https://app.example.com"` or `"https://*.example.com"`, or `"*"`. Others get 403 `origin-not-allowed`.',
      standard: '`["same-host"]`',
    },
    requireOrigin: {
      meaning: "Refuses handshakes without an `Origin`, which come from no browser.",
      standard: "`false`",
    },
    rejectAfterUpgrade: {
      meaning:
        "Tells a refusal of the gateway as a close code after a 101, which scripts in browsers can read: 4401, 4403, 4429, 1013, 1014 or 1008, with the error's code as its reason.",
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
    fromClient: { meaning: "What the client may send. Bridges.", standard: "its defaults" },
    fromUpstream: { meaning: "What the origin may send. Bridges.", standard: "its defaults" },
    maxBuffered: {
      meaning:
        "Bytes that wait, each way, while `bytesPerSecond` is used up; with more the session is closed with 1013. Bridges.",
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
    meaning: "Bytes a second, or `false`, which lets a peer that reads slowly fill the memory of the gateway.",
    standard: '`"1MiB"`',
  },
  byteBurst: { meaning: "Bytes at once.", standard: '`"8MiB"`' },
});

/** WebSockets. */
export const webSocketSections = [webSocket, messageLimits];
