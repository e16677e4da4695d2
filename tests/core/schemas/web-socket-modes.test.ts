import { describe, expect, it } from "vitest";
import { parseConfig, type WebSocketSettings } from "../../../schemas/index.ts";

function parse(webSocket: unknown) {
  return parseConfig({ routes: [{ id: "live", prefix: "/live", target: "https://example.com", webSocket }] });
}

function settingsOf(webSocket: unknown): WebSocketSettings | undefined {
  const parsed = parse(webSocket);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  expect(parsed.warnings).toEqual([]);
  return parsed.config.routes[0]?.webSocket;
}

describe("one connection for many clients", () => {
  const standard = {
    by: [],
    between: "credentials",
    clientMessages: "forward",
    maxClients: 1_000,
    lingerMs: 5_000,
    window: undefined,
    overflow: "close",
    reconnect: false,
  };

  it.each([{ mode: "shared" }, { shared: {} }])("%j has its defaults", (webSocket) => {
    expect(settingsOf(webSocket)).toMatchObject({ mode: "shared", shared: standard, callback: undefined });
  });

  it("reads every field", () => {
    const shared = {
      by: ["header:X-Room", "cookie:team"],
      between: "anyone",
      clientMessages: "drop",
      maxClients: 5_000,
      linger: 0,
      window: "64KiB",
      overflow: "drop-oldest",
      reconnect: true,
    };
    expect(settingsOf({ shared })?.shared).toEqual({
      by: [
        { kind: "header", name: "x-room" },
        { kind: "cookie", name: "team" },
      ],
      between: "anyone",
      clientMessages: "drop",
      maxClients: 5_000,
      lingerMs: 0,
      window: 65_536,
      overflow: "drop-oldest",
      reconnect: true,
    });
  });
});

it("reads how messages become requests", () => {
  expect(settingsOf({ mode: "callback" })).toMatchObject({
    mode: "callback",
    callback: { batch: 1, onFailure: "close", ping: undefined, pong: "pong" },
  });
  const callback = { batch: 100, onFailure: "drop", ping: "p", pong: "q" };
  expect(settingsOf({ callback })?.callback).toEqual(callback);
});

it.each([
  [{ mode: "bridge", shared: {} }, "webSocket.mode"],
  [{ mode: "shared", callback: {} }, "webSocket.mode"],
  [{ shared: {}, callback: {} }, "webSocket.callback"],
  [{ shared: { maxClients: 5_001 } }, "webSocket.shared.maxClients"],
  [{ shared: { window: 0 } }, "webSocket.shared.window"],
  [{ callback: { batch: 101 } }, "webSocket.callback.batch"],
  [{ callback: { ping: "" } }, "webSocket.callback.ping"],
  [{ callback: { pong: "x".repeat(257) } }, "webSocket.callback.pong"],
])("%j is refused, at %s", (webSocket, at) => {
  const parsed = parse(webSocket);
  expect(parsed.ok ? [] : parsed.problems.map(({ path }) => path)).toEqual([`routes[0].${at}`]);
});
