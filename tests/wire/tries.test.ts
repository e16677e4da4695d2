import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { circuitOf } from "../support/circuit-of.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { type Act, close, hang, perform, reset, send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { problemOf } from "../support/problem.ts";
import { ask, exchange, RawClient, type RawAnswer } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({ config: config() });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

/** Each backend has targets of its own, below paths of its own at the one origin: budgets and breakers are theirs alone. */
function config(): unknown {
  const retry = { maxRetries: 2, backoff: { base: 1, max: 1 }, budget: { ratio: 1 } };
  const circuitBreaker = { failureThreshold: 1 };
  const pair = (name: string) => ({ targets: [target(`${name}/a`), target(`${name}/b`)], balance: "round-robin" });
  const backends = {
    retried: { targets: [target("retried")], retry },
    "per-try": { targets: [target("per-try")], retry: { ...retry, perTryTimeout: 1_500 }, timeouts: { total: 10_000 } },
    patient: { targets: [target("patient")], retry, timeouts: { total: 5_000 } },
    poor: { targets: [target("poor")], retry: { ...retry, budget: { ratio: 0, perSecond: 0.001 } } },
    several: { ...pair("several"), retry },
    // The first is as good as always chosen where it may be.
    preferred: { targets: [{ ...target("preferred/a"), weight: 1_000_000 }, target("preferred/b")], retry },
    opening: { targets: [target("opening")], retry, circuitBreaker },
    guarded: { targets: [target("guarded")], circuitBreaker },
    unread: { targets: [target("unread")], circuitBreaker, timeouts: { requestBody: 2_000 } },
    replaced: { targets: [target("replaced")], circuitBreaker: { ...circuitBreaker, fallback: { backend: "spare" } } },
    bound: {
      ...pair("bound"),
      sticky: "header",
      circuitBreaker: { ...circuitBreaker, fallback: { backend: "spare" } },
    },
    spare: { targets: [target("spare")] },
    static: {
      targets: [target("static")],
      circuitBreaker: {
        ...circuitBreaker,
        fallback: { response: { status: 200, headers: { "content-type": "text/plain" }, body: "closed today" } },
      },
    },
    hedged: { ...pair("hedged"), hedge: { after: 50, budget: 1 } },
    "hedged-probe": {
      ...pair("hedged-probe"),
      hedge: { after: 20, budget: 1 },
      circuitBreaker: { ...circuitBreaker, timeout: 1_000, maxTimeout: 1_000 },
      timeouts: { headers: 2_000 },
    },
    "hedged-once": { ...pair("hedged-once"), hedge: { after: 20, budget: 0.001 }, timeouts: { headers: 2_000 } },
  };
  const routes = Object.keys(backends).map((id) => ({ id, prefix: `/${id}`, backend: id }));
  return { allowPrivateTargets: true, backends, routes };
}

function target(path: string): { readonly url: string } {
  return { url: `${origin.url}/${path}` };
}

const OK = [send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")];

const STREAM = send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");

function busy(field = ""): readonly Act[] {
  return [send(`HTTP/1.1 503 Busy\r\n${field}Content-Length: 4\r\n\r\nbusy`)];
}

/** Answers the first request with the first of these, the second with the second, and all that follow with the last. */
function inTurn(...turns: readonly (readonly Act[])[]): Act {
  let turn = 0;
  return (peer) => {
    const acts = turns[Math.min(turn, turns.length - 1)] ?? [];
    turn += 1;
    return perform(peer, acts);
  };
}

function outcome({ status, body }: RawAnswer): string {
  return `${status} ${body.toString("utf8")}`;
}

function timesSeen(path: string): number {
  return origin.seen.filter((seen) => seen.target === path).length;
}

function seenBelow(start: string, end: string): number {
  return origin.seenAt(start).filter((seen) => seen.target.endsWith(end)).length;
}

/** Asks for a stream that does not end, and leaves when something has been seen of it. */
async function whileStreaming(path: string, seen: () => Promise<void>): Promise<void> {
  const client = await RawClient.open(gateway.url);
  await client.send(request({ target: path }));
  await seen();
  client.reset();
  await origin.until("nothing is in flight", ({ busy: inFlight }) => inFlight === 0);
}

/** What the log says of how an exchange was sent. */
async function logged(answer: RawAnswer): Promise<Record<string, unknown>> {
  const requestId = valueOf(answer.headers, "x-request-id");
  const find = () => gateway.logs().find((line) => line["requestId"] === requestId);
  await vi.waitFor(() => expect(find()).toBeDefined(), { timeout: 15_000, interval: 10 });
  const line = find() ?? {};
  const fields = ["code", "target", "tries", "retried", "retryStop", "hedged", "refused", "fallback"];
  return Object.fromEntries(fields.flatMap((field) => (line[field] === undefined ? [] : [[field, line[field]]])));
}

const FAILURES: readonly (readonly [string, readonly Act[], string])[] = [
  ["answers 503", busy(), "503"],
  ["breaks the connection", [reset], "upstream-unreachable"],
  [
    "breaks a short body off",
    [send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal"), close],
    "upstream-invalid-response",
  ],
];

describe.each(FAILURES)("where the origin %s", (_, acts, why) => {
  it("a GET is sent again", async () => {
    const path = `/retried/get/${why}`;
    origin.answer(path, inTurn(acts, OK));
    const answer = await ask(gateway.url, { target: path });
    expect(outcome(answer)).toBe("200 ok");
    expect(timesSeen(path)).toBe(2);
    expect(await logged(answer)).toEqual({ target: `${origin.url}/retried`, tries: 2, retried: [why] });
  });

  it("a POST never is", async () => {
    const path = `/retried/post/${why}`;
    origin.answer(path, inTurn(acts, OK));
    const answer = await ask(gateway.url, { method: "POST", target: path, body: "pay" });
    expect(answer.status).toBe(why === "503" ? 503 : 502);
    expect(timesSeen(path)).toBe(1);
    expect(await logged(answer)).toMatchObject({ retryStop: "not-idempotent" });
  });

  it("a POST with an Idempotency-Key is, with the same key", async () => {
    const path = `/retried/keyed/${why}`;
    origin.answer(path, inTurn(acts, OK));
    const headers = ['Idempotency-Key: "7"'];
    const answer = await ask(gateway.url, { method: "POST", target: path, headers, body: "pay" });
    expect(outcome(answer)).toBe("200 ok");
    const seen = origin.seenAt(path).map((each) => [valueOf(each.headers, "idempotency-key"), each.bodyText]);
    expect(seen).toEqual([
      ['"7"', "pay"],
      ['"7"', "pay"],
    ]);
  });

  it("a PUT is, byte for byte", async () => {
    const path = `/retried/put/${why}`;
    origin.answer(path, inTurn(acts, acts, OK));
    const body = Buffer.from(Array.from({ length: 65_536 }, (_each, index) => index % 251));
    const head = `PUT ${path} HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: ${body.length}\r\n\r\n`;
    const answer = await exchange(gateway.url, Buffer.concat([Buffer.from(head), body]), { method: "PUT" });
    expect(answer?.status).toBe(200);
    const sha256 = createHash("sha256").update(body).digest("hex");
    expect(origin.seenAt(path).map(({ bodySha256 }) => bodySha256)).toEqual([sha256, sha256, sha256]);
  });

  it("a streamed body is not sent again, whatever the method", async () => {
    const path = `/retried/streamed/${why}`;
    origin.answer(path, inTurn(acts, OK));
    const answer = await ask(gateway.url, { method: "PUT", target: path, chunks: ["one", "two"] });
    expect(answer.status).toBe(why === "503" ? 503 : 502);
    expect(timesSeen(path)).toBe(1);
    expect(await logged(answer)).toMatchObject({ retryStop: "not-replayable" });
  });

  it("a body of more than 64 KiB is not sent again, though its length is known", async () => {
    const path = `/retried/long/${why}`;
    origin.answer(path, inTurn(acts, OK));
    const answer = await ask(gateway.url, { method: "PUT", target: path, body: "x".repeat(65_537) });
    expect(answer.status).toBe(why === "503" ? 503 : 502);
    expect(timesSeen(path)).toBe(1);
    expect(await logged(answer)).toMatchObject({ retryStop: "not-replayable" });
  });

  it("another target is tried first", async () => {
    origin.answer(`/several/a/${why}`, ...acts);
    origin.answer(`/several/b/${why}`, ...OK);
    const answers = [];
    for (let turn = 0; turn < 2; turn += 1) answers.push(await ask(gateway.url, { target: `/several/${why}` }));
    expect(answers.map(outcome)).toEqual(["200 ok", "200 ok"]);
    // By turns, one of two begins at the target that fails.
    expect([timesSeen(`/several/a/${why}`), timesSeen(`/several/b/${why}`)]).toEqual([1, 2]);
  });
});

describe("retries", () => {
  it("end with the origin's last word when it goes on failing", async () => {
    origin.answer("/retried/failing", ...busy("X-Note: kept\r\n"));
    const answer = await ask(gateway.url, { target: "/retried/failing" });
    expect(outcome(answer)).toBe("503 busy");
    expect(valueOf(answer.headers, "x-note")).toBe("kept");
    expect(timesSeen("/retried/failing")).toBe(3);
    expect(await logged(answer)).toMatchObject({ tries: 3, retried: ["503", "503"], retryStop: "exhausted" });
  });

  it.each([
    ["nothing", ["Idempotency-Key:"]],
    ["an empty string", ['Idempotency-Key: ""']],
    ["nothing twice", ["Idempotency-Key:", "Idempotency-Key:"]],
    ["two keys", ["Idempotency-Key: one", "Idempotency-Key: two"]],
    ["a key of 256 characters", [`Idempotency-Key: ${"k".repeat(256)}`]],
    ["a key for the gateway alone", ["Connection: idempotency-key", "Idempotency-Key: one"]],
  ])("take no %s for the name of a request", async (name, headers) => {
    const path = `/retried/misnamed/${name.replaceAll(" ", "-")}`;
    origin.answer(path, inTurn(busy(), OK));
    const answer = await ask(gateway.url, { method: "POST", target: path, headers, body: "pay" });
    expect(outcome(answer)).toBe("503 busy");
    expect(timesSeen(path)).toBe(1);
  });

  it("leave a failure alone that is not in `statuses`", async () => {
    origin.answer("/retried/broken", send("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"));
    const answer = await ask(gateway.url, { target: "/retried/broken" });
    expect(answer.status).toBe(500);
    expect(timesSeen("/retried/broken")).toBe(1);
  });

  it("use the connection again of an answer that is not passed on", async () => {
    const long = send(`HTTP/1.1 503 Busy\r\nContent-Length: 65536\r\n\r\n${"x".repeat(65_536)}`);
    origin.answer("/retried/connection", inTurn([long], OK));
    await ask(gateway.url, { target: "/retried/connection" });
    const [first, second] = origin.seenAt("/retried/connection");
    expect(second?.connection).toBe(first?.connection);
  });

  it("let go of a long answer that is not passed on", async () => {
    const endless = send("HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n");
    origin.answer("/retried/endless", inTurn([endless, hang], [STREAM, hang]));
    await whileStreaming("/retried/endless", async () => {
      await origin.until("only the second try is at work", ({ busy: inFlight }) => {
        return timesSeen("/retried/endless") === 2 && inFlight === 1;
      });
    });
  });

  it("wait as long as `Retry-After` asks", async () => {
    const times: number[] = [];
    const noteTime: Act = () => Promise.resolve(times.push(performance.now()) > 0);
    origin.answer("/patient/soon", inTurn([noteTime, ...busy("Retry-After: 1\r\n")], [noteTime, ...OK]));
    const answer = await ask(gateway.url, { target: "/patient/soon" });
    expect(outcome(answer)).toBe("200 ok");
    const [first = 0, second = 0] = times;
    // The gateway's clock counts whole milliseconds.
    expect(second - first).toBeGreaterThanOrEqual(998);
  });

  it("are not made when `Retry-After` asks for more time than there is", async () => {
    origin.answer("/patient/late", ...busy("Retry-After: 6\r\n"));
    const answer = await ask(gateway.url, { target: "/patient/late" });
    expect(outcome(answer)).toBe("503 busy");
    expect(valueOf(answer.headers, "retry-after")).toBe("6");
    expect(timesSeen("/patient/late")).toBe(1);
    expect(await logged(answer)).toMatchObject({ retryStop: "too-late" });
  });

  it("go to another target at once though the first asks for time", async () => {
    origin.answer("/several/a/elsewhere", ...busy("Retry-After: 3600\r\n"));
    origin.answer("/several/b/elsewhere", ...OK);
    const answers = [];
    for (let turn = 0; turn < 2; turn += 1) answers.push(await ask(gateway.url, { target: "/several/elsewhere" }));
    expect(answers.map(outcome)).toEqual(["200 ok", "200 ok"]);
  });

  it("keep what a target asks for when another one has failed since", async () => {
    origin.answer("/preferred/a/word", ...busy("Retry-After: 3600\r\n"));
    origin.answer("/preferred/b/word", ...busy());
    const answers = [];
    for (let turn = 0; turn < 3; turn += 1) answers.push(await ask(gateway.url, { target: "/preferred/word" }));
    expect([timesSeen("/preferred/a/word"), timesSeen("/preferred/b/word")]).toEqual([3, 3]);
    expect((await Promise.all(answers.map(logged))).map(({ retryStop }) => retryStop)).toEqual(
      Array(3).fill("too-late"),
    );
  });

  it("begin when a try has had its time, and end it at its origin", async () => {
    origin.answer("/per-try/slow", inTurn([hang], OK));
    const answer = await ask(gateway.url, { target: "/per-try/slow" });
    expect(outcome(answer)).toBe("200 ok");
    expect(await logged(answer)).toMatchObject({ tries: 2, retried: ["upstream-timeout"] });
    await origin.until("nothing is in flight", ({ busy: inFlight }) => inFlight === 0);
  });

  it("begin when what is left of a failed answer takes longer than a try may", async () => {
    const stuck = [send("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbu"), hang];
    origin.answer("/per-try/stuck", inTurn(stuck, OK));
    const answer = await ask(gateway.url, { target: "/per-try/stuck" });
    expect(outcome(answer)).toBe("200 ok");
    expect(await logged(answer)).toMatchObject({ tries: 2, retried: ["upstream-timeout"] });
    await origin.until("nothing is in flight", ({ busy: inFlight }) => inFlight === 0);
  });

  it("end when the budget is spent", async () => {
    origin.answer("/poor/failing", ...busy());
    const answers = [];
    for (let request = 0; request < 3; request += 1) answers.push(await ask(gateway.url, { target: "/poor/failing" }));
    expect(answers.map(outcome)).toEqual(["503 busy", "503 busy", "503 busy"]);
    // An isolate begins with one.
    expect(timesSeen("/poor/failing")).toBe(4);
    expect(await Promise.all(answers.map(logged))).toMatchObject([
      { tries: 2, retryStop: "budget" },
      { retryStop: "budget" },
      { retryStop: "budget" },
    ]);
  });
});

/** Fails at a target until its owner has opened the breaker: what an isolate opens by itself it closes after a second. */
async function open(backend: string, targets: readonly string[] = [backend]): Promise<void> {
  for (const path of targets) origin.answer(`/${path}/failing`, reset);
  await vi.waitFor(
    async () => {
      await ask(gateway.url, { target: `/${backend}/failing` });
      const states = await Promise.all(targets.map((path) => circuitOf(gateway, `${origin.url}/${path}`)));
      expect(states).toEqual(targets.map(() => "open"));
    },
    { timeout: 15_000, interval: 50 },
  );
}

it("a breaker that opens ends retries", async () => {
  origin.answer("/opening/failing", ...busy());
  const failed = await ask(gateway.url, { target: "/opening/failing" });
  expect(outcome(failed)).toBe("503 busy");
  expect(await logged(failed)).toMatchObject({ retryStop: "breaker-open" });
  expect(timesSeen("/opening/failing")).toBe(1);
});

describe("an open breaker", () => {
  beforeAll(async () => {
    await Promise.all(["guarded", "unread", "replaced", "static"].map((name) => open(name)));
    await open("bound", ["bound/a", "bound/b"]);
  });

  it("refuses a request, which the origin does not see", async () => {
    const refused = await ask(gateway.url, { method: "POST", target: "/guarded/other", body: "not sent" });
    expect(problemOf(refused)).toEqual({ status: 503, code: "breaker-open" });
    expect(Number(valueOf(refused.headers, "retry-after"))).toBeGreaterThanOrEqual(1);
    expect(valueOf(refused.headers, "proxy-status")).toBe("sluice; error=destination_unavailable");
    expect(await logged(refused)).toEqual({ code: "breaker-open", refused: "breaker-open" });
    expect(timesSeen("/guarded/other")).toBe(0);
  });

  it("refuses before the body is read", async () => {
    const head = "POST /unread/x HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 9\r\n\r\n";
    const refused = await exchange(gateway.url, head);
    expect(refused && problemOf(refused)).toEqual({ status: 503, code: "breaker-open" });
  });

  it("has another backend answer", async () => {
    const answer = await ask(gateway.url, { method: "PUT", target: "/replaced/x", body: "whole" });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body.toString("utf8"))).toMatchObject({ method: "PUT", target: "/spare/x", bodyBytes: 5 });
    expect(await logged(answer)).toEqual({ refused: "breaker-open", fallback: "spare" });
  });

  it("tells the backend that answers instead nothing of what binds a client to its own", async () => {
    const answer = await ask(gateway.url, { target: "/bound/x", headers: ["X-Sluice-Target: 1.token", "X-Other: 1"] });
    const { headers, target: path }: Record<string, unknown> = JSON.parse(answer.body.toString("utf8"));
    const names = Array.isArray(headers) ? headers.map(([name]) => String(name).toLowerCase()) : [];
    expect([path, names.includes("x-other"), names.includes("x-sluice-target")]).toEqual(["/spare/x", true, false]);
  });

  it("has a static answer given", async () => {
    const answer = await ask(gateway.url, { target: "/static/x" });
    expect(outcome(answer)).toBe("200 closed today");
    expect(valueOf(answer.headers, "content-type")).toBe("text/plain");
    expect(await logged(answer)).toEqual({ refused: "breaker-open", fallback: "response" });
    const head = await ask(gateway.url, { method: "HEAD", target: "/static/x" });
    expect(outcome(head)).toBe("200 ");
  });
});

describe("a hedged request", () => {
  it("is answered by the faster of two targets", async () => {
    const slowFirst = inTurn([hang], OK);
    origin.answer("/hedged/a/x", slowFirst);
    origin.answer("/hedged/b/x", slowFirst);
    const answer = await ask(gateway.url, { target: "/hedged/x" });
    expect(outcome(answer)).toBe("200 ok");
    expect([timesSeen("/hedged/a/x"), timesSeen("/hedged/b/x")]).toEqual([1, 1]);
    expect(await logged(answer)).toMatchObject({ hedged: "won" });
  });

  it("ends at the slower target while the faster one still streams", async () => {
    const slowFirst = inTurn([hang], [STREAM, hang]);
    origin.answer("/hedged/a/stream", slowFirst);
    origin.answer("/hedged/b/stream", slowFirst);
    await whileStreaming("/hedged/stream", async () => {
      await origin.until("only the faster one is at work", ({ busy: inFlight }) => {
        return seenBelow("/hedged/", "/stream") === 2 && inFlight === 1;
      });
    });
  });

  it("waits for the other answer when the first to come is an error", async () => {
    const [fails, succeeds] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const when =
      (promise: Promise<void>): Act =>
      () =>
        promise.then(() => true);
    const errorFirst = inTurn([when(fails.promise), ...busy()], [when(succeeds.promise), ...OK]);
    origin.answer("/hedged/a/error", errorFirst);
    origin.answer("/hedged/b/error", errorFirst);
    const asked = ask(gateway.url, { target: "/hedged/error" });
    await origin.until("both are asked", () => seenBelow("/hedged/", "/error") === 2);
    fails.resolve();
    await origin.until("the error is sent", ({ busy: inFlight }) => inFlight === 1);
    succeeds.resolve();
    expect(outcome(await asked)).toBe("200 ok");
  });

  it("gets the error that there is when the other target has no answer", async () => {
    const [fails, breaks] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const when =
      (promise: Promise<void>): Act =>
      () =>
        promise.then(() => true);
    const errorFirst = inTurn([when(fails.promise), ...busy("Retry-After: 7\r\n")], [when(breaks.promise), reset]);
    origin.answer("/hedged/a/neither", errorFirst);
    origin.answer("/hedged/b/neither", errorFirst);
    const asked = ask(gateway.url, { target: "/hedged/neither" });
    await origin.until("both are asked", () => seenBelow("/hedged/", "/neither") === 2);
    fails.resolve();
    await origin.until("the error is sent", ({ busy: inFlight }) => inFlight === 1);
    breaks.resolve();
    const answer = await asked;
    expect([outcome(answer), valueOf(answer.headers, "retry-after")]).toEqual(["503 busy", "7"]);
  });

  it("is hedged no more when the budget is spent", async () => {
    const everyOther = inTurn([hang], OK, [hang]);
    origin.answer("/hedged-once/a/x", everyOther);
    origin.answer("/hedged-once/b/x", everyOther);
    const answers = [];
    for (let turn = 0; turn < 2; turn += 1) answers.push(await ask(gateway.url, { target: "/hedged-once/x" }));
    expect(answers.map(({ status }) => status)).toEqual([200, 504]);
    expect(seenBelow("/hedged-once/", "/x")).toBe(3);
  });

  it("is hedged no more when it finds out whether its target is well", async () => {
    for (const path of ["slow", "probe"]) origin.answer(`/hedged-probe/a/${path}`, hang);
    const slow = [];
    for (let turn = 0; turn < 2; turn += 1) slow.push(await ask(gateway.url, { target: "/hedged-probe/slow" }));
    expect(slow.map(({ status }) => status)).toEqual([200, 200]);
    expect(timesSeen("/hedged-probe/a/slow")).toBe(1);
    origin.answer("/hedged-probe/a/failing", reset);
    await vi.waitFor(
      async () => {
        await ask(gateway.url, { target: "/hedged-probe/failing" });
        expect(await circuitOf(gateway, target("hedged-probe/a").url)).toBe("open");
      },
      { timeout: 15_000, interval: 50 },
    );
    // The other target would answer at once.
    const asked = () => ask(gateway.url, { target: "/hedged-probe/probe" });
    await vi.waitFor(async () => expect((await asked()).status).toBe(504), { timeout: 15_000, interval: 50 });
    expect(timesSeen("/hedged-probe/a/probe")).toBe(1);
  });

  it("is never a POST", async () => {
    const post = ask(gateway.url, { method: "POST", target: "/hedged/post/held", body: "pay" });
    await origin.until("the POST is here", () => seenBelow("/hedged/", "/post/held") === 1);
    // Sent later, so that the POST has been slow for longer.
    const get = ask(gateway.url, { target: "/hedged/get/held" });
    await origin.until("the GET is here twice", () => seenBelow("/hedged/", "/get/held") === 2);
    expect(seenBelow("/hedged/", "/post/held")).toBe(1);
    for (let held = 0; held < 3; held += 1) origin.release();
    expect((await Promise.all([post, get])).map(({ status }) => status)).toEqual([200, 200]);
  });
});
