import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseConfig, parseConfigText, type WebSocketSettings } from "../../../schemas/index.ts";
import { DEFAULT_WEB_SOCKET } from "../../../schemas/policies/web-socket.ts";

const ORIGIN =
  '"*", "same-host", or an origin as browsers send it, without a path: "https://app.example.com", "https://*.example.com", "capacitor://localhost"';

function parse(webSocket: unknown, document: object = {}) {
  return parseConfig({
    routes: [{ id: "live", prefix: "/live", target: "https://example.com", webSocket }],
    ...document,
  });
}

function settingsOf(webSocket: unknown, document: object = {}): WebSocketSettings | undefined {
  const parsed = parse(webSocket, document);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  expect(parsed.warnings).toEqual([]);
  return parsed.config.routes[0]?.webSocket;
}

describe("what a route makes of WebSockets", () => {
  it("nothing unless it is said, and the defaults for true", () => {
    expect(settingsOf(undefined)).toBeUndefined();
    expect(settingsOf(false)).toBeUndefined();
    expect(settingsOf({ enabled: false })).toBeUndefined();
    expect(settingsOf(true)).toEqual(DEFAULT_WEB_SOCKET);
    expect(settingsOf({})).toEqual(DEFAULT_WEB_SOCKET);
    expect(settingsOf(undefined, { webSocket: true })).toEqual(DEFAULT_WEB_SOCKET);
    expect(settingsOf(false, { webSocket: true })).toBeUndefined();
  });

  it("these defaults, for all that it does not say", () => {
    const MIB = 2 ** 20;
    const rates = { bytesPerSecond: MIB, byteBurst: 8 * MIB, messageBurst: 200 };
    expect(settingsOf(true)).toEqual({
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
      fromClient: { maxMessage: MIB, messagesPerSecond: 100, ...rates },
      fromUpstream: { maxMessage: 16 * MIB, messagesPerSecond: undefined, ...rates },
      maxBuffered: MIB,
      sessions: { principal: 100, address: 200, route: undefined },
      newSessions: [],
    });
  });

  it.each([
    [{ maxLifetime: "1h" }, "splice"],
    [{ mode: "bridge" }, "bridge"],
    [{ idle: "1m" }, "bridge"],
    [{ fromClient: {} }, "bridge"],
    [{ fromUpstream: {} }, "bridge"],
    [{ maxBuffered: 0 }, "bridge"],
    [{ sessionsPerAddress: 5 }, "bridge"],
    [{ newSessions: { requestsPerWindow: 1, windowSeconds: 1 } }, "splice"],
  ])("%j makes it a %s", (webSocket, mode) => {
    expect(settingsOf(webSocket)?.mode).toBe(mode);
  });

  it("reads every field", () => {
    const settings = settingsOf({
      mode: "bridge",
      required: true,
      origins: ["same-host", "https://APP.example.com:8443"],
      requireOrigin: true,
      rejectAfterUpgrade: true,
      handshakeTimeout: "2s",
      idle: "1m",
      maxLifetime: "1h",
      closeTimeout: 500,
      onRouteChange: "close",
      drainTime: "5s",
      fromClient: { maxMessage: "2KiB", messagesPerSecond: 7, bytesPerSecond: false },
      fromUpstream: { messagesPerSecond: 8, messageBurst: 9, bytesPerSecond: "3KiB", byteBurst: "4KiB" },
      maxBuffered: "5KiB",
      sessionsPerAddress: false,
      sessionsPerRoute: 250,
      newSessions: { requestsPerWindow: 1, windowSeconds: 1, by: "all" },
    });
    const { newSessions, ...rest } = settings ?? DEFAULT_WEB_SOCKET;
    expect(rest).toEqual({
      mode: "bridge",
      required: true,
      origins: ["same-host", "https://app.example.com:8443"],
      requireOrigin: true,
      rejectAfterUpgrade: true,
      handshakeMs: 2_000,
      idleMs: 60_000,
      maxLifetimeMs: 3_600_000,
      closeMs: 500,
      onRouteChange: "close",
      drainMs: 5_000,
      fromClient: {
        maxMessage: 2_048,
        messagesPerSecond: 7,
        messageBurst: 14,
        bytesPerSecond: undefined,
        byteBurst: 8 * 2 ** 20,
      },
      fromUpstream: {
        maxMessage: 16 * 2 ** 20,
        messagesPerSecond: 8,
        messageBurst: 9,
        bytesPerSecond: 3_072,
        byteBurst: 4_096,
      },
      maxBuffered: 5_120,
      sessions: { principal: 100, address: undefined, route: 250 },
    });
    expect(newSessions).toMatchObject([{ id: "web-socket:live", name: "new-sessions", by: [{ kind: "all" }] }]);
  });
});

it("holds sessions where that is asked for, by its defaults where nothing else is said", () => {
  const standard = {
    holdMs: 30_000,
    ringMessages: 1_000,
    ringBytes: 1_048_576,
    resumeOn1001: false,
    durable: false,
    reconnect: undefined,
  };
  const reconnect = {
    on: [1001, 1006, 1012, 1013],
    minDelayMs: 100,
    maxDelayMs: 5_000,
    giveUpMs: 30_000,
    queue: { messages: 256, bytes: 262_144 },
    replayFirst: 0,
    skipAnswers: 0,
  };
  const heldBy = (webSocket: unknown) => {
    const { mode, held } = settingsOf(webSocket) ?? {};
    return [mode, held];
  };
  expect(heldBy({ mode: "held" })).toEqual(["held", standard]);
  expect(heldBy({ held: { durable: true, upstreamReconnect: true } })).toEqual([
    "held",
    { ...standard, durable: true, reconnect },
  ]);
  const written = { hold: "1m", ringMessages: 5, ringBytes: "2KiB", resumeOn1001: true };
  const again = {
    on: [4000],
    minDelay: "1s",
    maxDelay: "2s",
    giveUp: "1m",
    queueMessages: 1,
    queueBytes: 2,
    replayFirst: 3,
  };
  expect(heldBy({ held: { ...written, upstreamReconnect: again } })).toEqual([
    "held",
    {
      holdMs: 60_000,
      ringMessages: 5,
      ringBytes: 2_048,
      resumeOn1001: true,
      durable: false,
      reconnect: {
        on: [4000],
        minDelayMs: 1_000,
        maxDelayMs: 2_000,
        giveUpMs: 60_000,
        queue: { messages: 1, bytes: 2 },
        replayFirst: 3,
        skipAnswers: 1,
      },
    },
  ]);
});

/** What is refused: where, and what is wanted there. */
const REFUSED: readonly [webSocket: unknown, path: string, wanted: string][] = [
  [{ mode: "kept" }, "mode", 'one of "splice", "bridge", "held", "shared", "callback"'],
  [{ mode: "bridge", held: {} }, "mode", '"held", or no section "held"'],
  [{ mode: "splice", held: {}, idle: "1m" }, "mode", '"held", or no section "held"'],
  [{ held: {}, shared: {} }, "shared", 'nothing beside "held": a session has one mode'],
  [{ mode: "shared", held: {}, callback: {} }, "callback", 'nothing beside "held": a session has one mode'],
  [{ held: true }, "held", "an object; {} is all defaults"],
  [
    { held: { hold: "16m" } },
    "held.hold",
    'a duration such as "500ms", "30s", "5m", "1h" or "1d" or a number of milliseconds, from 1ms to 15m',
  ],
  [
    { held: { durable: true, ringBytes: "2MiB" } },
    "held.ringBytes",
    "at most 1 MiB where it is durable: a batch is one row",
  ],
  [{ held: { replayFirst: 1 } }, "held.replayFirst", 'a known key: this one stands in "upstreamReconnect"'],
  [
    { held: { upstreamReconnect: { replayFirst: 9 } } },
    "held.upstreamReconnect.replayFirst",
    "a whole number from 0 to 8",
  ],
  [
    { held: { upstreamReconnect: { minDelay: "6s" } } },
    "held.upstreamReconnect.minDelay",
    'at most "maxDelay", which is 5s unless it is written',
  ],
  [
    { mode: "splice", idle: "1m", fromClient: {} },
    "mode",
    '"bridge", or no idle, fromClient: nobody sees the messages of a splice, nor its end',
  ],
  ...["app.example.com", "https://app.example.com/path", "wss://app.example.com", "https://*"].map(
    (origin): [unknown, string, string] => [{ origins: [origin] }, "origins[0]", ORIGIN],
  ),
  [{ origins: [] }, "origins", `an array of ${ORIGIN}, at least one`],
  [
    { fromClient: { maxMessage: "33MiB" } },
    "fromClient.maxMessage",
    'at most 32 MiB, which is what the runtime takes; mode "splice" has no limit',
  ],
  [{ maxMessage: "1KiB" }, "maxMessage", 'a known key: this one stands in "fromClient" or "fromUpstream"'],
  [
    { sessionsPerRoute: 251 },
    "sessionsPerRoute",
    "a whole number from 1 to 250, which is what an owner can count, or false for any number",
  ],
  [{ maxConnections: 5 }, "maxConnections", 'a known key: see "sessionsPerAddress" and "sessionsPerRoute"'],
  [{ replayFirst: 1 }, "replayFirst", 'a known key: this one stands in "upstreamReconnect" of "held"'],
  [
    { held: { upstreamReconnect: { on: [] } } },
    "held.upstreamReconnect.on",
    "an array of close codes, in which 1006 stands for a connection that was lost without any, at least one",
  ],
  [{ maxBuffered: "33MiB" }, "maxBuffered", "at most 32 MiB: it waits in memory"],
  [
    { held: { upstreamReconnect: { queueBytes: "1GiB" } } },
    "held.upstreamReconnect.queueBytes",
    "at most 32 MiB: it waits in memory",
  ],
  [
    { fromClient: { messagesPerSecond: 0 } },
    "fromClient.messagesPerSecond",
    "a whole number from 1, or false for any number",
  ],
  [{ newSessions: 10 }, "newSessions", "an object, or false to remove the policy"],
];

it.each(REFUSED)("refuses %j", (webSocket, path, wanted) => {
  const parsed = parse(webSocket);
  expect(parsed.ok ? [] : parsed.problems).toMatchObject([{ path: `routes[0].webSocket.${path}`, wanted }]);
});

it("refuses a field that it does not know", () => {
  const parsed = parse({ heartbeat: "1s" });
  expect(parsed.ok ? [] : parsed.problems.map(({ path }) => path)).toEqual(["routes[0].webSocket.heartbeat"]);
});

it("takes origins of applications, and those with a port that goes without saying", () => {
  const origins = [
    "capacitor://localhost",
    "http://[::1]:3000",
    "https://a.example.com:443",
    "http://b.example.com:80",
  ];
  expect(settingsOf({ origins })?.origins).toEqual([
    ...origins.slice(0, 2),
    "https://a.example.com",
    "http://b.example.com",
  ]);
});

it.each([
  [
    { fromUpstream: { messageBurst: 5 } },
    ".fromUpstream.messageBurst",
    'nothing is bounded: there is no "messagesPerSecond"',
  ],
  [
    { fromClient: { bytesPerSecond: false, byteBurst: 5 } },
    ".fromClient.byteBurst",
    'nothing is bounded: there is no "bytesPerSecond"',
  ],
  [{ callback: { pong: "here" } }, ".callback.pong", 'nothing is answered: there is no "ping"'],
  [
    { held: { upstreamReconnect: { skipAnswers: 2 } } },
    ".held.upstreamReconnect.skipAnswers",
    'nothing is skipped: there is no "replayFirst"',
  ],
  [
    { idle: 600 },
    ".idle",
    'is 600ms, hardly what was meant: a number counts milliseconds, and seconds are written "600s"',
  ],
  [
    { held: { hold: 30 } },
    ".held.hold",
    'is 30ms, hardly what was meant: a number counts milliseconds, and seconds are written "30s"',
  ],
  [
    { sessionsPerPrincipal: 5 },
    ".sessionsPerPrincipal",
    "nothing identifies clients yet: until authentication acts, nobody is counted",
  ],
])("warns of %j, which has no effect, or hardly the one that was meant", (webSocket, path, message) => {
  const parsed = parse(webSocket);
  expect(parsed.ok ? parsed.warnings : parsed.problems).toEqual([{ path: `routes[0].webSocket${path}`, message }]);
});

it("warns of a route to which no handshake comes", () => {
  const parsed = parseConfig({
    routes: [{ prefix: "/", target: "https://example.com", methods: ["POST"], webSocket: true }],
  });
  const message = "no handshake comes here: GET is not among the route's methods";
  expect(parsed.ok && parsed.warnings).toEqual([{ path: "routes[0].webSocket", message }]);
});

it.each(["web-sockets", "web-socket-modes", "held-web-sockets"])(
  "takes every configuration of the guide %s",
  (guide) => {
    const text = readFileSync(new URL(`../../../docs/guide/${guide}.md`, import.meta.url), "utf8");
    const blocks = [...text.matchAll(/```json\n([^]*?)```/g)].map(([, block = ""]) => block);
    const documents = blocks.filter((block) => block.includes('"routes"'));
    expect(documents).not.toEqual([]);
    for (const document of documents) {
      expect(parseConfigText(document), document).toEqual({ ok: true, config: expect.anything(), warnings: [] });
    }
  },
);
