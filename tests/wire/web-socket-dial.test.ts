import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { valueOf } from "../support/message-head.ts";
import { type Act, close, hang, reset } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { beginHandshake, openSocket, shakeHands, type HandshakeOptions } from "../support/web-socket/client.ts";
import { WebSocketOrigin } from "../support/web-socket/origin.ts";
import { eventually, startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

let own: WebSocketOrigin;
let other: WebSocketOrigin;
/** Is stopped by a test. */
let mortal: WebSocketOrigin;
/** By path, does what `FAULTS` says. */
let faulty: Origin;
let gone: string;
let pairs: Readonly<Record<string, readonly [WebSocketOrigin, WebSocketOrigin]>>;
let relayed: Relayed;

const BALANCERS = ["weighted-random", "round-robin", "rendezvous"] as const;
const MODES = ["splice", "bridge"] as const;
/** The modes that dial. */
const DIALLING = { splice: { mode: "splice" }, bridge: { mode: "bridge" }, held: { held: {} }, shared: { shared: {} } };
const SLOW_MS = 300;
const isLeft = Promise.withResolvers<void>();
/** Backends of routes whose handshakes have a second. */
const HURRIED: ReadonlySet<string> = new Set(["hangs", "hedged", "slow", "left"]);

/** What is done to handshakes below a path. */
const FAULTS: Readonly<Record<string, readonly Act[]>> = {
  resets: [reset],
  ends: [close],
  "resets-late": [() => new Promise((resolve) => setTimeout(resolve, SLOW_MS, true)), reset],
  hangs: [hang],
  "is-left": [(peer) => hang(peer).finally(isLeft.resolve)],
};

beforeAll(async () => {
  [own, other] = await Promise.all([WebSocketOrigin.start(), WebSocketOrigin.start()]);
  const closing = await WebSocketOrigin.start();
  gone = closing.url;
  await closing.stop();
  [mortal, faulty] = await Promise.all([WebSocketOrigin.start(), Origin.start()]);
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
  const failing = failingBackends();
  const failingRoutes = Object.keys(failing).map((id) => ({
    id,
    prefix: `/${id}`,
    backend: id,
    webSocket: { mode: "bridge", ...(HURRIED.has(id) ? { handshakeTimeout: "1s" } : {}) },
  }));
  const deadRoutes = Object.entries(DIALLING).map(([mode, webSocket]) => ({
    id: `dead-${mode}`,
    prefix: `/dead-${mode}`,
    backend: "dead",
    webSocket,
  }));
  const routes = [
    ...spread,
    ...held,
    ...failingRoutes,
    ...deadRoutes,
    { id: "lonely", prefix: "/lonely", backend: "lonely", webSocket: lonely },
  ];
  const backends = {
    ...Object.fromEntries(
      BALANCERS.map((balance) => [balance, { targets: pairs[balance]?.map(({ url }) => ({ url })), balance }]),
    ),
    ...failing,
    own: { targets: [{ url: own.url }] },
    other: { targets: [{ url: other.url }] },
    lonely: { targets: [{ url: `${own.url}/lonely` }], circuitBreaker: { failureThreshold: 1, timeout: "3s" } },
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
  await Promise.all([own, other, mortal, faulty, ...Object.values(pairs).flat()].map((origin) => origin.stop()));
});

/** The first target of each is as good as always chosen where it may be; all paths are below the backend's name. */
function failingBackends(): Readonly<Record<string, object>> {
  const retry = { maxRetries: 2, backoff: { base: 1, max: 1 }, budget: { ratio: 1 } };
  const well = (name: string) => ({ url: `${own.url}/well-${name}` });
  const before = (url: string, name: string) => ({ targets: [{ url, weight: 1_000_000 }, well(name)] });
  const fault = (name: string, kind: string) => {
    faulty.answer(`/${name}/held`, ...(FAULTS[kind] ?? []));
    return `${faulty.url}/${name}`;
  };
  const faults = (name: string, kind: string, count: number, weight = 1) =>
    Array.from({ length: count }, (_, n) => ({ url: fault(`${name}/${n}`, kind), weight }));
  return {
    dead: before(`${gone}/dead`, "dead"),
    resets: before(fault("resets", "resets"), "resets"),
    ends: before(fault("ends", "ends"), "ends"),
    killed: { ...before(`${mortal.url}/killed`, "killed"), sticky: "header" },
    keyed: { targets: [...faults("keyed", "resets", 5, 1_000_000), well("keyed")], balance: "rendezvous" },
    lost: { targets: faults("lost", "resets", 3) },
    single: { targets: [{ url: fault("single", "resets") }] },
    "single-retried": { targets: [{ url: fault("single-retried", "resets") }], retry },
    busy: before(`${own.url}/busy`, "busy"),
    "busy-retried": { ...before(`${own.url}/busy`, "busy-retried"), retry },
    hangs: before(fault("hangs", "hangs"), "hangs"),
    hedged: { targets: faults("hedged", "hangs", 2), hedge: { after: 10, budget: 1 } },
    slow: { targets: faults("slow", "resets-late", 12) },
    counted: {
      ...before(fault("counted", "resets"), "counted"),
      circuitBreaker: { failureThreshold: 2, timeout: "60s" },
    },
    left: { ...before(fault("left", "is-left"), "left"), circuitBreaker: { failureThreshold: 1, timeout: "60s" } },
    "hangs-retried": {
      ...before(fault("hangs-retried", "hangs"), "hangs-retried"),
      retry: { ...retry, perTryTimeout: 1_000 },
    },
    "lost-retried": { targets: faults("lost-retried", "resets", 4), retry: { ...retry, maxRetries: 1 } },
    poor: { targets: faults("poor", "resets", 2), retry: { ...retry, budget: { ratio: 0, perSecond: 0.001 } } },
    drained: {
      targets: [{ url: fault("drained", "resets") }, { ...well("drained"), drain: true }],
    },
  };
}

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

/** The log line of a handshake on a route. */
function lineOf(route: string, status: number): Promise<Record<string, unknown>> {
  return relayed.line("exchange", (line) => line["route"] === route && line["status"] === status);
}

function codeOf(came: Awaited<ReturnType<typeof knock>>): unknown {
  return came.kind === "refused" ? JSON.parse(came.body).code : came.status;
}

const dialled = (path: string) => faulty.seenAt(path).length;
const reached = (name: string) => own.seen.filter(({ target }) => target.startsWith(`/well-${name}/`)).length;

describe("a handshake whose target nobody hears at", () => {
  it.each(Object.keys(DIALLING))("is dialled at another one, and the log says so: %s", async (mode) => {
    const came = await knock(`dead-${mode}`);
    expect(came.status).toBe(101);
    expect(came.headers.filter(([name]) => name.toLowerCase().startsWith("x-sluice"))).toEqual([]);
    expect(await lineOf(`dead-${mode}`, 101)).toMatchObject({
      target: `${own.url}/well-dead`,
      tries: 2,
      retried: ["upstream-unreachable"],
    });
  });

  it.each(["resets", "ends"])("is dialled at another one where the first %s", async (name) => {
    expect((await knock(name)).status).toBe(101);
    expect([dialled(`/${name}/`), reached(name)]).toEqual([1, 1]);
  });

  it("goes on to another target than the one that its client is bound to, when that is killed", async () => {
    const first = await knock("killed");
    const bound = valueOf(first.headers, "x-sluice-target");
    expect(mortal.seen.map(({ target }) => target)).toEqual(["/killed/held"]);
    await mortal.stop();
    const next = await knock("killed", { headers: { "X-Sluice-Target": bound ?? "none" } });
    expect([next.status, reached("killed")]).toEqual([101, 1]);
  });

  it("goes through the targets in the order of its key", async () => {
    expect((await knock("keyed")).status).toBe(101);
    const first = faulty.seenAt("/keyed/").map(({ target }) => target);
    expect((await knock("keyed")).status).toBe(101);
    const both = faulty.seenAt("/keyed/").map(({ target }) => target);
    expect(both).toEqual([...first, ...first]);
    expect([first.length, new Set(first).size]).toEqual([5, 5]);
  });

  it("is answered as ever when all are dead, each dialled once", async () => {
    expect(codeOf(await knock("lost"))).toBe("upstream-unreachable");
    expect(
      faulty
        .seenAt("/lost/")
        .map(({ target }) => target)
        .toSorted(),
    ).toEqual(["/lost/0/held", "/lost/1/held", "/lost/2/held"]);
    const failed = "upstream-unreachable";
    expect(await lineOf("lost", 502)).toMatchObject({ code: failed, tries: 3, retried: [failed, failed] });
  });

  it.each(["single", "single-retried"])("is dialled once where there is one target: %s", async (name) => {
    expect(codeOf(await knock(name))).toBe("upstream-unreachable");
    expect(dialled(`/${name}/`)).toBe(1);
    expect(await lineOf(name, 502)).not.toHaveProperty("tries");
  });

  it("counts for the breaker of its target, which is left alone after that", async () => {
    for (let n = 0; n < 4; n++) expect((await knock("counted")).status).toBe(101);
    expect([dialled("/counted/"), reached("counted")]).toEqual([2, 4]);
  });

  it("goes to none that drains", async () => {
    expect(codeOf(await knock("drained"))).toBe("upstream-unreachable");
    expect([dialled("/drained/"), reached("drained")]).toEqual([1, 0]);
  });

  it("has no longer for all targets than its handshake may take", async () => {
    expect((await knock("slow")).kind).toBe("refused");
    expect(dialled("/slow/")).toBeLessThanOrEqual(4);
  });

  it("is tried as often as `retry` allows, and as its budget does", async () => {
    expect(codeOf(await knock("lost-retried"))).toBe("upstream-unreachable");
    expect(dialled("/lost-retried/")).toBe(2);
    expect(await lineOf("lost-retried", 502)).toMatchObject({ tries: 2, retryStop: "exhausted" });
    for (const seen of [2, 3]) {
      expect(codeOf(await knock("poor"))).toBe("upstream-unreachable");
      expect(dialled("/poor/")).toBe(seen);
    }
  });
});

describe("a handshake that somebody has heard", () => {
  it.each(["busy", "busy-retried"])("is not sent to another target for its answer: %s", async (name) => {
    own.answers.set("/busy/held", "HTTP/1.1 503 Busy\r\nX-Why: full\r\nContent-Length: 0\r\n\r\n");
    const came = await knock(name);
    expect([came.status, valueOf(came.headers, "x-why")]).toEqual([503, "full"]);
    expect(reached(name)).toBe(0);
  });

  it("is not sent to another target when its time is over, but where `retry` gives each try its own", async () => {
    const came = await Promise.all(["hangs", "hedged", "hangs-retried"].map((name) => knock(name)));
    expect(came.map(codeOf)).toEqual(["upstream-timeout", "upstream-timeout", 101]);
    expect([reached("hangs"), dialled("/hedged/"), reached("hangs-retried")]).toEqual([0, 1, 1]);
  });

  it("is nothing that a target has failed at when its client leaves", async () => {
    const leaving = await beginHandshake(relayed.gateway.url, { path: "/left/held" });
    await faulty.until("the dial", () => dialled("/left/") === 1);
    leaving.resetAndDestroy();
    await isLeft.promise;
    expect(reached("left")).toBe(0);
    expect(codeOf(await knock("left"))).toBe("upstream-timeout");
    expect(dialled("/left/")).toBe(2);
  });
});
