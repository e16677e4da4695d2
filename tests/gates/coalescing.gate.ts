import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { peakGrowth } from "../support/peak-memory.ts";
import type { Proof } from "../support/proof.ts";

const ISOLATES = 4;
const CROWD = 1_000;
const FEW = 50;
const ORIGIN_MS = 300;
const SLOW_MS = 8_000;
const STREAM_MS = 2_000;
const FOLLOWER_MS = 100;
const LARGE_BYTES = 4_000_000;
const MIB = 2 ** 20;
const MAX_GROWTH = 96 * MIB;
const MAX_TIMES = 2.2;
const ROUNDS = 5;

/** What an origin does with a request, the nth for its path. */
type Answering = (response: ServerResponse, request: IncomingMessage, nth: number) => void | Promise<void>;

/** Requests for one thing at one time are one request to its origin, and nobody gets what is another's. */
export async function run(): Promise<Proof[]> {
  const origin = await startOrigin();
  const state = mkdtempSync(join(tmpdir(), "sluice-coalescing-"));
  const config = {
    allowPrivateTargets: true,
    routes: [{ id: "kept", prefix: "/", target: origin.url, cache: { ttl: 60 }, deduplication: true }],
  };
  let gateway = await startGateway({ isolates: ISOLATES, state, config });
  try {
    // The first requests start isolates and objects, which is not what is measured.
    await Promise.all(gateway.urls.map((url) => ask(`${url}/warm`)));
    const proofs = [
      // First: a thousand clients size the heap by more than this may grow it.
      await fanOut(gateway, origin),
      await cold(gateway, origin),
      await streamed(gateway, origin),
      await leaderLeaves(gateway, origin),
      await variants(gateway, origin),
      await own(gateway, origin, "private", { "cache-control": "private" }),
      await own(gateway, origin, "Set-Cookie", { "cache-control": "max-age=60" }),
      await slow(gateway, origin),
    ];
    const killed = await kill(gateway, origin, () => startGateway({ isolates: ISOLATES, state, config }));
    gateway = killed.gateway;
    return [...proofs, killed.proof];
  } finally {
    await gateway.stop();
    await origin.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

type TestOrigin = Awaited<ReturnType<typeof startOrigin>>;

async function startOrigin() {
  const rules = new Map<string, Answering>();
  const asked = new Map<string, number>();
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    const nth = (asked.get(path) ?? 0) + 1;
    asked.set(path, nth);
    const rule = rules.get(path) ?? ((answer) => void answer.end("nothing"));
    response.on("error", () => {});
    void rule(response, request, nth);
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", 2_048, resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is never a path
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    on: (path: string, rule: Answering) => void rules.set(path, rule),
    count: (path: string) => asked.get(path) ?? 0,
    async until(path: string) {
      while (!asked.has(path)) await once(server, "request");
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What a client got, and when by its own clock, in ms since it asked. */
interface Got {
  readonly status: number;
  readonly cookie: string;
  readonly bytes: number;
  readonly text: string;
  readonly firstAt: number;
  readonly ms: number;
}

async function ask(url: string, headers: Record<string, string> = {}): Promise<Got> {
  const began = performance.now();
  const asking = httpRequest(url, { headers: { host: "gateway.test", ...headers }, agent: false });
  asking.end();
  const [answer]: IncomingMessage[] = await once(asking, "response");
  if (answer === undefined) throw new Error("there is no answer");
  let bytes = 0;
  let firstAt = 0;
  let text = "";
  for await (const chunk of answer) {
    if (firstAt === 0) firstAt = performance.now();
    bytes += Buffer.byteLength(chunk);
    if (text.length < 100) text += String(chunk).slice(0, 100);
  }
  const cookie = answer.headers["set-cookie"]?.join() ?? "";
  return { status: answer.statusCode ?? 0, cookie, bytes, text, firstAt, ms: performance.now() - began };
}

function crowd({ urls }: Gateway, count: number, path: string, headers: (index: number) => Record<string, string>) {
  return Array.from({ length: count }, (_, index) => ask(`${urls[index % urls.length]}${path}`, headers(index)));
}

const none = () => ({});
const MAX_AGE = { "cache-control": "max-age=60" };

function middle(all: readonly Got[]): number {
  return all.map(({ ms }) => ms).toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;
}

async function cold(gateway: Gateway, origin: TestOrigin): Promise<Proof> {
  origin.on("/cold", async (response) => {
    await pause(ORIGIN_MS);
    response.writeHead(200, MAX_AGE).end("for all");
  });
  const all = await Promise.all(crowd(gateway, CROWD, "/cold", none));
  const right = all.filter(({ status, text }) => status === 200 && text === "for all").length;
  return {
    promise: `requests to an origin of ${ORIGIN_MS} ms for ${CROWD} clients of one cold key over ${ISOLATES} isolates`,
    bound: "1",
    figure: `${origin.count("/cold")}; ${right} right answers, p50 ${middle(all).toFixed(0)} ms`,
    pass: origin.count("/cold") === 1 && right === CROWD,
  };
}

async function streamed(gateway: Gateway, origin: TestOrigin): Promise<Proof> {
  origin.on("/streamed", async (response) => {
    response.writeHead(200, MAX_AGE);
    for (let part = 0; part < 10; part += 1) {
      response.write("part ");
      await pause(STREAM_MS / 10);
    }
    response.end();
  });
  const [leader, ...followers] = await Promise.all(crowd(gateway, FEW, "/streamed", none));
  const firsts = [leader, ...followers].map((one) => one?.firstAt ?? Infinity);
  const spread = Math.max(...firsts) - Math.min(...firsts);
  return {
    promise: `first byte of a body of ${STREAM_MS / 1_000} s to the last of ${FEW} after the first`,
    bound: `< ${FOLLOWER_MS} ms, 1 request`,
    figure: `${spread.toFixed(0)} ms, ${origin.count("/streamed")}`,
    pass: spread < FOLLOWER_MS && origin.count("/streamed") === 1,
  };
}

async function leaderLeaves(gateway: Gateway, origin: TestOrigin): Promise<Proof> {
  origin.on("/left", async (response) => {
    await pause(3_000);
    response.writeHead(200, MAX_AGE).end("for all");
  });
  const leader = httpRequest(`${gateway.url}/left`, { headers: { host: "gateway.test" }, agent: false });
  leader.on("error", () => {}).end();
  await origin.until("/left");
  const asking = crowd(gateway, FEW, "/left", none);
  await pause(500);
  leader.socket?.resetAndDestroy();
  const all = await Promise.all(asking);
  const right = all.filter(({ text }) => text === "for all").length;
  return {
    promise: `requests for ${FEW} clients whose first one leaves`,
    bound: "1",
    figure: `${origin.count("/left")}; ${right} right answers`,
    pass: origin.count("/left") === 1 && right === FEW,
  };
}

async function variants(gateway: Gateway, origin: TestOrigin): Promise<Proof> {
  origin.on("/variants", async (response, { headers }) => {
    await pause(ORIGIN_MS);
    response.writeHead(200, { ...MAX_AGE, vary: "accept-language" }).end(headers["accept-language"]);
  });
  const wanted = (index: number) => `x-${index % 5}`;
  const all = await Promise.all(crowd(gateway, FEW, "/variants", (index) => ({ "accept-language": wanted(index) })));
  const right = all.filter(({ text }, index) => text === wanted(index)).length;
  return {
    promise: `requests for ${FEW} clients of 5 variants`,
    bound: "5",
    figure: `${origin.count("/variants")}; ${right} right answers, p50 ${middle(all).toFixed(0)} ms`,
    pass: origin.count("/variants") === 5 && right === FEW,
  };
}

async function own(
  gateway: Gateway,
  origin: TestOrigin,
  what: string,
  headers: Record<string, string>,
): Promise<Proof> {
  const rounds: { readonly cookies: number; readonly mixed: number; readonly times: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const path = `/own-${what}-${round}`;
    const personal: Answering = async (response, _request, nth) => {
      await pause(ORIGIN_MS);
      response.writeHead(200, { ...headers, "set-cookie": `sid=${nth}` }).end(`sid=${nth}`);
    };
    origin.on(path, personal);
    origin.on(`/direct${path}`, personal);
    // As many at once without a gateway: what the machine itself makes of the origin's time.
    const direct = await Promise.all(Array.from({ length: FEW }, () => ask(`${origin.url}/direct${path}`)));
    const all = await Promise.all(crowd(gateway, FEW, path, none));
    rounds.push({
      cookies: new Set(all.map(({ cookie }) => cookie)).size,
      mixed: all.filter(({ cookie, text }) => cookie !== text).length,
      times: middle(all) / middle(direct),
    });
  }
  const times = rounds.map((round) => round.times).toSorted((one, other) => one - other)[ROUNDS >> 1] ?? Infinity;
  const isOwn = rounds.every(({ cookies, mixed }) => cookies === FEW && mixed === 0);
  return {
    promise: `${FEW} clients of what is ${what === "private" ? "private" : "handed out with Set-Cookie"}: cookies, and p50 beside the origin's own, the median of ${ROUNDS} rounds`,
    bound: `${FEW} and none mixed up, <= ${MAX_TIMES} times`,
    figure: `${isOwn ? `${FEW} and none` : JSON.stringify(rounds)}, ${times.toFixed(2)} times`,
    pass: isOwn && times <= MAX_TIMES,
  };
}

async function slow(gateway: Gateway, origin: TestOrigin): Promise<Proof> {
  origin.on("/slow", async (response) => {
    await pause(SLOW_MS);
    response.writeHead(200, MAX_AGE).end("for all");
  });
  const all = await Promise.all(crowd(gateway, FEW, "/slow", none));
  const right = all.filter(({ text }) => text === "for all").length;
  return {
    promise: `requests for ${FEW} clients to an origin of ${SLOW_MS / 1_000} s`,
    bound: "<= 2",
    figure: `${origin.count("/slow")}; ${right} right answers, p50 ${middle(all).toFixed(0)} ms`,
    pass: origin.count("/slow") <= 2 && right === FEW,
  };
}

async function fanOut(gateway: Gateway, origin: TestOrigin): Promise<Proof> {
  const body = Buffer.alloc(LARGE_BYTES, "x");
  const large: Answering = async (response) => {
    await pause(ORIGIN_MS);
    response.writeHead(200, { ...MAX_AGE, "content-length": LARGE_BYTES }).end(body);
  };
  origin.on("/first-large", large);
  origin.on("/large", large);
  // The first large body sizes the heap; growth is what comes after it.
  await Promise.all(crowd(gateway, 4, "/first-large", none));
  let all: Got[] = [];
  const began = performance.now();
  const growth = await peakGrowth(gateway.workerdPid, async () => {
    all = await Promise.all(crowd(gateway, FEW, "/large", none));
  });
  const right = all.filter(({ bytes }) => bytes === LARGE_BYTES).length;
  return {
    promise: `${FEW} clients of ${LARGE_BYTES / 1e6} MB at once: what the runtime's memory grows by`,
    bound: `< ${MAX_GROWTH / MIB} MiB, 1 request`,
    figure: `${(growth / MIB).toFixed(1)} MiB, ${origin.count("/large")}; ${right} right answers in ${((performance.now() - began) / 1_000).toFixed(1)} s`,
    pass: growth < MAX_GROWTH && right === FEW && origin.count("/large") === 1,
  };
}

async function kill(gateway: Gateway, origin: TestOrigin, restart: () => Promise<Gateway>) {
  origin.on("/killed", async (response, _request, nth) => {
    if (nth === 1) return;
    await pause(ORIGIN_MS);
    response.writeHead(200, MAX_AGE).end("for all");
  });
  const asking = crowd(gateway, FEW, "/killed", none);
  const settled = Promise.allSettled(asking);
  await origin.until("/killed");
  await gateway.kill();
  const lost = (await settled).filter(({ status }) => status === "rejected").length;
  const again = await restart();
  const all = await Promise.all(crowd(again, FEW, "/killed", none));
  const right = all.filter(({ text }) => text === "for all").length;
  return {
    gateway: again,
    proof: {
      promise: `requests for ${FEW} clients whose gateway is killed -9 meanwhile, and who ask again`,
      bound: "2, all answered",
      figure: `${origin.count("/killed")}; ${lost} lost, ${right} right answers afterwards`,
      pass: origin.count("/killed") === 2 && right === FEW,
    },
  };
}
