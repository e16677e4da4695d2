import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { shakeHands, type HandshakeOptions } from "../support/web-socket/client.ts";
import { WebSocketOrigin } from "../support/web-socket/origin.ts";
import { startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

let own: WebSocketOrigin;
let other: WebSocketOrigin;
let gone: string;
let relayed: Relayed;

const MODES = ["splice", "bridge"] as const;

beforeAll(async () => {
  [own, other] = await Promise.all([WebSocketOrigin.start(), WebSocketOrigin.start()]);
  const closing = await WebSocketOrigin.start();
  gone = closing.url;
  await closing.stop();
  const routes = MODES.flatMap((mode) => [
    {
      id: `tried-${mode}`,
      prefix: `/tried-${mode}`,
      backend: "own",
      canary: { header: "x-variant", variants: [{ backend: "other", percent: 0 }] },
      webSocket: { mode },
    },
    { id: `spread-${mode}`, prefix: `/spread-${mode}`, backend: "spread", webSocket: { mode } },
    { id: `broken-${mode}`, prefix: `/broken-${mode}`, backend: `broken-${mode}`, webSocket: { mode } },
  ]);
  const backends = {
    own: { targets: [{ url: own.url }] },
    other: { targets: [{ url: other.url }] },
    spread: { targets: [{ url: `${own.url}/a` }, { url: `${own.url}/b` }], balance: "round-robin" },
    ...Object.fromEntries(
      MODES.map((mode) => [
        `broken-${mode}`,
        { targets: [{ url: `${gone}/${mode}` }], circuitBreaker: { failureThreshold: 1, timeout: "60s" } },
      ]),
    ),
  };
  relayed = await startRelayed({}, { routes, backends });
});

afterAll(async () => {
  await relayed?.stop();
  await Promise.all([own?.stop(), other?.stop()]);
});

async function knock(path: string, options: HandshakeOptions = {}) {
  const came = await shakeHands(relayed.gateway.url, { path: `/${path}/held`, ...options });
  if (came.kind === "open") came.peer.destroy();
  return came;
}

describe.each(MODES)("the dial of a %s", (mode) => {
  it("goes where the session is placed", async () => {
    const seen = () => [own.seen.length, other.seen.length];
    const [ownBefore = 0, otherBefore = 0] = seen();
    expect((await knock(`tried-${mode}`)).status).toBe(101);
    expect(seen()).toEqual([ownBefore + 1, otherBefore]);
    expect((await knock(`tried-${mode}`, { headers: { "X-Variant": "other" } })).status).toBe(101);
    expect(seen()).toEqual([ownBefore + 1, otherBefore + 1]);
  });

  it("is balanced over the targets of its backend", async () => {
    const before = own.seen.length;
    for (let n = 0; n < 4; n++) expect((await knock(`spread-${mode}`)).status).toBe(101);
    const targets = own.seen.slice(before).map(({ target }) => target);
    expect(targets.toSorted()).toEqual(["/a/held", "/a/held", "/b/held", "/b/held"]);
  });

  it("counts for the breaker of its target, which then refuses", async () => {
    const codes: string[] = [];
    for (let n = 0; n < 3; n++) {
      const came = await knock(`broken-${mode}`);
      if (came.kind === "refused") codes.push(JSON.parse(came.body).code);
    }
    expect(codes).toEqual(["upstream-unreachable", "breaker-open", "breaker-open"]);
  });
});
