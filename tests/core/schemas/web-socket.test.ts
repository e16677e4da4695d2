import { describe, expect, it } from "vitest";
import { parseConfig, type WebSocketSettings } from "../../../schemas/index.ts";
import { DEFAULT_WEB_SOCKET } from "../../../schemas/policies/web-socket.ts";

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
      sessionsPerPrincipal: 3,
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
      sessions: { principal: 3, address: undefined, route: 250 },
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

it.each([
  [{ mode: "kept" }, "routes[0].webSocket.mode"],
  [{ mode: "bridge", held: {} }, "routes[0].webSocket.mode"],
  [{ held: {}, shared: {} }, "routes[0].webSocket.mode"],
  [{ held: { hold: "16m" } }, "routes[0].webSocket.held.hold"],
  [{ held: { durable: true, ringBytes: "2MiB" } }, "routes[0].webSocket.held.ringBytes"],
  [{ held: { upstreamReconnect: { replayFirst: 9 } } }, "routes[0].webSocket.held.upstreamReconnect.replayFirst"],
  [{ mode: "splice", idle: "1m" }, "routes[0].webSocket.mode"],
  [{ origins: ["app.example.com"] }, "routes[0].webSocket.origins[0]"],
  [{ origins: ["https://app.example.com/path"] }, "routes[0].webSocket.origins[0]"],
  [{ origins: [] }, "routes[0].webSocket.origins"],
  [{ fromClient: { maxMessage: "33MiB" } }, "routes[0].webSocket.fromClient.maxMessage"],
  [{ sessionsPerRoute: 251 }, "routes[0].webSocket.sessionsPerRoute"],
  [{ fromClient: { messagesPerSecond: 0 } }, "routes[0].webSocket.fromClient.messagesPerSecond"],
  [{ heartbeat: "1s" }, "routes[0].webSocket.heartbeat"],
])("refuses %j", (webSocket, path) => {
  const parsed = parse(webSocket);
  expect(parsed.ok ? [] : parsed.problems.map((problem) => problem.path)).toEqual([path]);
});
