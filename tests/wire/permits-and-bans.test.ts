import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask, RawClient, type RawAnswer } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

const ISOLATES = 4;
const MOST_IN_FLIGHT = 3;
const DAILY = 30;
/** Attempts that ban. */
const THRESHOLD = 5 * DAILY;
const HEADERS = ["X-Client: one"];
/** What nobody uses goes back within a second; the rest is for a busy machine. */
const PATIENCE_MS = 20_000;
/** So seldom that refusals while others' permits are on their way don't come to a ban. */
const TRY_AGAIN_MS = 250;
const PATIENCE = { timeout: PATIENCE_MS, interval: TRY_AGAIN_MS };

/** A request in flight. */
interface Held {
  readonly answered: Promise<RawAnswer | undefined>;
}

let origin: Origin;
let gateway: Gateway;
const clients: RawClient[] = [];

beforeAll(async () => {
  origin = await Origin.start();
  // Only the owner may decide, however busy the machine is.
  const strict = { by: "header:x-client", onError: "closed", deadline: "20s" };
  const rateLimits = [
    { name: "in-flight", algorithm: "concurrency", maxConcurrent: MOST_IN_FLIGHT, ...strict },
    { name: "daily", requestsPerWindow: DAILY, window: "1d", mode: "leased", ban: true, ...strict },
  ];
  const routes = [{ id: "both", prefix: "/both", target: origin.url, rateLimits }];
  gateway = await startGateway({ isolates: ISOLATES, config: { allowPrivateTargets: true, routes } });
});

afterAll(async () => {
  for (const client of clients) client.reset();
  await gateway?.stop();
  await origin?.stop();
});

test("one client in flight, on a lease and banned is refused for each as declared, and leaves no permit behind", async () => {
  const held = await occupy(MOST_IN_FLIGHT);
  let attempts = MOST_IN_FLIGHT;
  const crowd = await everywhere();
  attempts += ISOLATES;
  expect(crowd.map(violated)).toEqual(crowd.map(() => ["in-flight"]));
  const id = idOf(crowd[0] ?? { headers: [] });

  // One ends, so that an isolate that has none can spend the other limit to its last token under that permit.
  await end(held.splice(0, 1));
  let admitted = MOST_IN_FLIGHT;
  for (let isolate = MOST_IN_FLIGHT; attempts < THRESHOLD - ISOLATES && admitted < DAILY; attempts += 1) {
    const { status } = await visit(isolate);
    // The permit, or what was lent, may be another isolate's.
    if (status === 200) admitted += 1;
    else isolate += 1;
  }
  expect(admitted).toBe(DAILY);
  expect((await everywhere()).map(({ status }) => status)).toEqual(gateway.urls.map(() => 429));
  attempts += ISOLATES;

  const seen = new Set<number>();
  for (; attempts < THRESHOLD + ISOLATES; attempts += 1) seen.add((await visit(attempts)).status);
  expect([...seen]).toEqual([429]);
  await vi.waitFor(async () => {
    const codes = (await everywhere()).map(codeOf);
    expect(codes).toEqual(codes.map(() => "abnormal-usage-detected"));
  }, PATIENCE);

  // A ban stops nothing that is in flight, and what ends while it lasts frees its permit all the same.
  expect(origin.busy).toBe(MOST_IN_FLIGHT - 1);
  await end(held);
  await vi.waitFor(async () => expect(await inUse(id)).toEqual([0]), PATIENCE);

  await order(id, "unban");
  await order(id, "grant", { policy: "route:both:daily", tokens: DAILY });
  await occupy(MOST_IN_FLIGHT);
  // An isolate that was told of no token believes that for a second.
  await vi.waitFor(async () => {
    const again = await everywhere();
    expect(again.map(violated)).toEqual(again.map(() => ["in-flight"]));
  }, PATIENCE);
  expect(await inUse(id)).toEqual([MOST_IN_FLIGHT]);
});

test("a request that is told of a ban while it asks for a permit gives that back", async () => {
  const headers = ["X-Client: two"];
  const visitAs = (isolate: number) => ask(gateway.urls[isolate] ?? "", { target: "/both/more", headers });
  const id = idOf(await visitAs(0));
  await order(id, "ban", { duration: "1h", reason: "by hand" });
  // Isolates that have not heard of the client, so they ask.
  const answers = [await visitAs(1), await visitAs(2), await visitAs(3)];
  expect(answers.map(codeOf)).toEqual(answers.map(() => "abnormal-usage-detected"));
  await vi.waitFor(async () => expect(await inUse(id)).toEqual([0]), PATIENCE);
});

function visit(index: number): Promise<RawAnswer> {
  return ask(gateway.urls[index % ISOLATES] ?? "", { target: "/both/more", headers: HEADERS });
}

function idOf({ headers }: Pick<RawAnswer, "headers">): string {
  return /pk=:(\w{24}):/.exec(valueOf(headers, "ratelimit") ?? "")?.[1] ?? "";
}

function everywhere(): Promise<readonly RawAnswer[]> {
  return Promise.all(gateway.urls.map((_, isolate) => visit(isolate)));
}

/** So many requests in flight, spread over the isolates. Tries again while one is refused: permits travel over their owner. */
async function occupy(many: number): Promise<Held[]> {
  const occupied: Held[] = [];
  for (const deadline = Date.now() + PATIENCE_MS; occupied.length < many && Date.now() < deadline;) {
    const busy = origin.busy;
    const client = await RawClient.open(gateway.urls[occupied.length % ISOLATES] ?? "");
    clients.push(client);
    await client.send(request({ target: "/both/held", headers: HEADERS }));
    const arrived = origin.until("one more is in flight", (now) => now.busy > busy).then(() => true);
    const answered = client.answer();
    const isServed = await Promise.race([arrived.catch(() => false), answered.then(() => false)]);
    if (isServed) occupied.push({ answered });
    else await pause(TRY_AGAIN_MS);
  }
  expect(occupied).toHaveLength(many);
  return occupied;
}

/** Lets these requests, the oldest in flight, end well. */
async function end(held: readonly Held[]): Promise<void> {
  for (const _ of held) origin.release();
  const answers = await Promise.all(held.map(({ answered }) => answered));
  expect(answers.map((answer) => answer?.status)).toEqual(held.map(() => 200));
}

function problemOf({ body }: RawAnswer): Record<string, unknown> {
  return JSON.parse(body.toString("utf8"));
}

function violated(answer: RawAnswer): unknown {
  return problemOf(answer)["violated-policies"];
}

function codeOf(answer: RawAnswer): unknown {
  return problemOf(answer)["code"];
}

function admin(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${gateway.adminToken}` };
  return fetch(`${gateway.url}/admin/clients/${path}`, { ...init, headers });
}

async function order(id: string, name: string, body?: object): Promise<void> {
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  const answer = await admin(`${id}/${name}`, { method: "POST", ...init });
  expect([name, answer.status, await answer.text()]).toEqual([name, 200, expect.anything()]);
}

/** Permits on lease, by limit, as an operator sees them. */
async function inUse(id: string): Promise<readonly number[]> {
  const { permits }: { permits: { inUse: number }[] } = JSON.parse(await (await admin(id)).text());
  return permits.map((limit) => limit.inUse);
}
