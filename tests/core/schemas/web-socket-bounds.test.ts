import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../schemas/index.ts";

const [DAY, MIB] = [86_400_000, 2 ** 20];

/** Where `webSocket` has something wrong that says this at a path; nothing else of it is said but what goes with it. */
function refused(path: string, value: unknown, more: object): readonly string[] {
  const fields = path.split(".");
  const webSocket = fields.reduceRight<unknown>((inner, field, at) => {
    const beside = at === fields.length - 1 ? more : {};
    return { ...beside, [field]: inner };
  }, value);
  const parsed = parseConfig({ routes: [{ prefix: "/", target: "https://example.com", webSocket }] });
  return parsed.ok ? [] : parsed.problems.map((problem) => problem.path.replace("routes[0].webSocket.", ""));
}

describe("a number of webSocket", () => {
  it.each<[path: string, least: number, most?: number, more?: object]>([
    ["handshakeTimeout", 1, 300_000],
    ["idle", 1, 20 * DAY],
    ["maxLifetime", 1, 20 * DAY],
    ["closeTimeout", 1, 60_000],
    ["drainTime", 1, 900_000],
    ["maxBuffered", 0, 32 * MIB],
    ["sessionsPerPrincipal", 1, 250],
    ["sessionsPerAddress", 1, 250],
    ["sessionsPerRoute", 1, 250],
    ["fromClient.maxMessage", 1, 32 * MIB],
    ["fromClient.messagesPerSecond", 1],
    ["fromClient.messageBurst", 1],
    ["fromUpstream.bytesPerSecond", 1],
    ["fromUpstream.byteBurst", 1],
    ["held.hold", 1, 900_000],
    ["held.ringMessages", 1, 100_000],
    ["held.ringBytes", 1, 32 * MIB],
    ["held.ringBytes", 1, MIB, { durable: true }],
    ["held.upstreamReconnect.minDelay", 1, 60_000, { maxDelay: 60_000 }],
    ["held.upstreamReconnect.minDelay", 1, 5_000],
    ["held.upstreamReconnect.maxDelay", 1, 60_000, { minDelay: 1 }],
    ["held.upstreamReconnect.giveUp", 1, 900_000],
    ["held.upstreamReconnect.queueMessages", 0, 10_000],
    ["held.upstreamReconnect.queueBytes", 0, 32 * MIB],
    ["held.upstreamReconnect.replayFirst", 0, 8],
    ["held.upstreamReconnect.skipAnswers", 0, 8],
    ["shared.maxClients", 1, 5_000],
    ["shared.linger", 0, 300_000],
    ["shared.window", 1],
    ["callback.batch", 1, 100],
  ])("%s is %d to %s", (path, least, most, more = {}) => {
    expect([refused(path, least, more), refused(path, least - 1, more)]).toEqual([[], [path]]);
    if (most !== undefined) expect([refused(path, most, more), refused(path, most + 1, more)]).toEqual([[], [path]]);
  });

  it("of close codes is 1000 to 4999", () => {
    const on = (code: number) => refused("held.upstreamReconnect.on", [code], {});
    expect([1000, 4999].flatMap(on)).toEqual([]);
    expect([999, 5000].flatMap(on)).toEqual(["held.upstreamReconnect.on[0]", "held.upstreamReconnect.on[0]"]);
  });
});

it.each(["idle", "closeTimeout", "maxBuffered", "sessionsPerPrincipal", "sessionsPerAddress", "sessionsPerRoute"])(
  "%s makes it a bridge, which alone can keep to it",
  (field) => {
    const parsed = parseConfig({ routes: [{ prefix: "/", target: "https://a.test", webSocket: { [field]: 5 } }] });
    expect(parsed.ok && parsed.config.routes[0]?.webSocket?.mode).toBe("bridge");
    expect(refused(field, 5, { mode: "splice" })).toEqual(["mode"]);
  },
);

it("an origin that is lost is not dialled again where that is switched off, whatever else is written", () => {
  const upstreamReconnect = { enabled: false, replayFirst: 1 };
  const webSocket = { held: { upstreamReconnect } };
  const parsed = parseConfig({ routes: [{ prefix: "/", target: "https://a.test", webSocket }] });
  expect(parsed.ok && parsed.config.routes[0]?.webSocket?.held?.reconnect).toBeUndefined();
});

it("what is left out of upstreamReconnect is what `true` means", () => {
  const reconnectOf = (upstreamReconnect: unknown) => {
    const webSocket = { held: { upstreamReconnect } };
    const parsed = parseConfig({ routes: [{ prefix: "/", target: "https://a.test", webSocket }] });
    return parsed.ok ? parsed.config.routes[0]?.webSocket?.held?.reconnect : parsed.problems;
  };
  const standard = reconnectOf(true);
  expect(standard).toMatchObject({ minDelayMs: 100, replayFirst: 0 });
  expect(reconnectOf({})).toEqual(standard);
});
