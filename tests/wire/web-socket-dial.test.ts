import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { valueOf } from "../support/message-head.ts";
import { openSocket, shakeHands, type HandshakeOptions } from "../support/web-socket/client.ts";
import { WebSocketOrigin } from "../support/web-socket/origin.ts";
import { eventually, startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

let own: WebSocketOrigin;
let other: WebSocketOrigin;
let gone: string;
let pairs: Readonly<Record<string, readonly [WebSocketOrigin, WebSocketOrigin]>>;
let relayed: Relayed;

const BALANCERS = ["weighted-random", "round-robin", "rendezvous"] as const;
const MODES = ["splice", "bridge"] as const;

beforeAll(async () => {
  [own, other] = await Promise.all([WebSocketOrigin.start(), WebSocketOrigin.start()]);
  const closing = await WebSocketOrigin.start();
  gone = closing.url;
  await closing.stop();
  const started = BALANCERS.map(async (balance) => {
    return [balance, [await WebSocketOrigin.start(), await WebSocketOrigin.start()]] as const;
  });
  pairs = Object.fromEntries(await Promise.all(started));
  const held = BALANCERS.map((balance) => ({
    id: `held-${balance}`,
    prefix: `/held-${balance}`,
    backend: balance,
    webSocket: { held: { upstreamReconnect: { minDelay: "10ms" } } },
  }));
  const spread = MODES.flatMap((mode) => [
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
  const lonely = { held: { upstreamReconnect: { minDelay: "10ms", maxDelay: "20ms" } } };
  const routes = [...spread, ...held, { id: "lonely", prefix: "/lonely", backend: "lonely", webSocket: lonely }];
  const backends = {
    ...Object.fromEntries(
      BALANCERS.map((balance) => [balance, { targets: pairs[balance]?.map(({ url }) => ({ url })), balance }]),
    ),
    own: { targets: [{ url: own.url }] },
    other: { targets: [{ url: other.url }] },
    lonely: { targets: [{ url: `${own.url}/lonely` }], circuitBreaker: { failureThreshold: 1, timeout: "1s" } },
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
  await Promise.all([own, other, ...Object.values(pairs).flat()].map((origin) => origin.stop()));
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

it.each(BALANCERS)(
  "a held session whose target is killed goes on at another one of its backend: %s",
  async (balance) => {
    const mark = `mark=${balance}.`;
    const targets = pairs[balance] ?? [];
    const client = await openSocket(relayed.gateway.url, { path: `/held-${balance}/held?${mark}` });
    client.text("one");
    const sessions = targets.map(async (target) => ({ target, peer: await target.accept(mark) }));
    const taken = await Promise.race(sessions);
    expect(await taken.peer.hear()).toEqual({ kind: "text", text: "one" });
    await taken.target.stop();
    client.text("two");
    const next = (await sessions[taken.target === targets[0] ? 1 : 0])?.peer;
    expect(await next?.hear()).toEqual({ kind: "text", text: "two" });
    next?.text("from another");
    expect(await client.hear()).toEqual({ kind: "text", text: "from another" });
    expect(client.isEnded).toBe(false);
    client.destroy();
  },
);

it("a held session whose origin is lost asks nothing of it while its breaker is open", async () => {
  const client = await openSocket(relayed.gateway.url, { path: "/lonely/held?mark=lonely." });
  const upstream = await own.accept("lonely.");
  own.answers.set("/lonely/held", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  upstream.reset();
  const seen = () => own.seen.filter(({ target }) => target.includes("mark=lonely."));
  await eventually("a dial that fails", () => Promise.resolve(seen().length === 2 || undefined));
  own.answers.clear();
  const next = await own.accept("lonely.");
  next.text("back");
  expect(await client.hear()).toEqual({ kind: "text", text: "back" });
  const tries = seen().map(({ headers }) => Number(valueOf(headers, "x-ws-reconnect")));
  expect(tries.slice(0, 2)).toEqual([Number.NaN, 1]);
  expect(tries).toHaveLength(3);
  // The others were not dialled.
  expect(tries[2]).toBeGreaterThan(2);
  client.destroy();
});
