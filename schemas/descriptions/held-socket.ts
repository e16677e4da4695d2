import { DEFAULT_HELD, DEFAULT_RECONNECT, HeldSchema, UpstreamReconnectSchema } from "../policies/held-socket.ts";
import { formatMs } from "../values/duration.ts";
import { enabled, section } from "./section.ts";

const { holdMs, ringMessages } = DEFAULT_HELD;
const { on, minDelayMs, maxDelayMs, giveUpMs, queue, replayFirst } = DEFAULT_RECONNECT;

const held = section(
  "HeldWebSocket",
  HeldSchema,
  "Sessions that go on when their client's connection is lost. A client that names its session (`_ws_session`) resumes it; nothing is lost, doubled or out of order.",
  {
    hold: {
      meaning: "How long a session waits for its client, at most 15 min.",
      standard: `\`"${formatMs(holdMs)}"\``,
    },
    ringMessages: {
      meaning:
        "Messages that are kept for the client, of those that were sent and those that wait. When more comes while it is away the session ends: 4413.",
      standard: `\`${ringMessages}\``,
    },
    ringBytes: { meaning: "The same in bytes, at most 32 MiB, with `durable` 1 MiB.", standard: '`"1MiB"`' },
    resumeOn1001: {
      meaning: "Whether a client that closes with 1001, as a page does that is left, may come back.",
      standard: "`false`",
    },
    durable: {
      meaning:
        "Whether what is needed to resume is stored, in batches, so that sessions survive a restart of the gateway; the origin is dialled anew then.",
      standard: "`false`",
    },
    upstreamReconnect: {
      meaning: "Whether, and how, an origin that is lost is dialled again while its client stays.",
      standard: "`false`",
    },
  },
);

const reconnect = section(
  "UpstreamReconnect",
  UpstreamReconnectSchema,
  "An origin that is lost is dialled again, by its backend's balancer and breaker. `true` is all defaults.",
  {
    enabled,
    on: {
      meaning: "After these close codes; 1006 is a connection that was lost without one.",
      standard: `\`[${on.join(", ")}]\``,
    },
    minDelay: {
      meaning: "Before the first try; doubled with each, less a random part.",
      standard: `\`"${formatMs(minDelayMs)}"\``,
    },
    maxDelay: { meaning: "Between tries, at most.", standard: `\`"${formatMs(maxDelayMs)}"\`` },
    giveUp: { meaning: "Then the client is closed with 1014.", standard: `\`"${formatMs(giveUpMs)}"\`` },
    queueMessages: {
      meaning: "Messages of the client that wait meanwhile; with more the session is closed with 1013.",
      standard: `\`${queue.messages}\``,
    },
    queueBytes: { meaning: "The same in bytes, at most 32 MiB.", standard: '`"256KiB"`' },
    replayFirst: {
      meaning:
        "So many of the client's first messages are said again to the new connection, at most 8: `1` for graphql-ws, MQTT and STOMP, which begin with who they are.",
      standard: `\`${replayFirst}\``,
    },
    skipAnswers: {
      meaning:
        "So many messages of the new connection, within five seconds, are answers that the client has heard before, and not passed on. `0` where the origin does not answer the client's first messages.",
      standard: "`1` with `replayFirst`, else `0`",
    },
  },
);

/** WebSocket sessions that are held. */
export const heldSocketSections = [held, reconnect];
