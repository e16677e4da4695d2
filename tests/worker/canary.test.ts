import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { addresses } from "../../objects/address.ts";
import { GatewayError } from "../../worker/errors.ts";
import type { Exchange, ExchangeNotes } from "../../worker/exchange.ts";
import { namingSecret } from "../../worker/limits/client-address.ts";
import { place } from "../../worker/steps/place.ts";
import type { PumpEnd } from "../../worker/upstream/pump.ts";
import { exchangeFor } from "./exchange.ts";

const DAY_MS = 86_400_000;

let routes = 0;
let work: Promise<unknown>[] = [];
let warnings = 0;

beforeAll(async () => {
  // The first object of a class takes longer to start than an isolate waits for it.
  await env.ROLLOUT.getByName("first").ping();
});

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY_MS });
  warnings = 0;
  vi.spyOn(console, "warn").mockImplementation(() => void (warnings += 1));
  work = [];
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Requests of one new route after the other, of which everybody gets the variant. */
function requests(bindings: Env = env) {
  routes += 1;
  // Its own route each time: isolates remember releases by it.
  const id = `route-${routes}`;
  const canary = { variants: [{ backend: "next", percent: 100 }] };
  const targets = [{ url: "https://next.example" }];
  const exchange = exchangeFor({ prefix: "/", canary }, bindings, work, { backends: { next: { targets } } });
  const { route } = exchange.route;
  const step = place({ ...route, id }, new Map());
  if (step === undefined) throw new Error("the route tries something out");

  /** Sends one, which ends as is said. */
  async function send(end: (notes: ExchangeNotes) => Response): Promise<Exchange> {
    const sent = { ...exchange, route: { ...exchange.route, route: { ...route, id } }, notes: {} };
    await Promise.resolve(step?.(sent, async ({ notes }) => end(notes))).catch(() => {});
    await Promise.all(work.splice(0));
    return sent;
  }

  /** What the owner has been told of the variant. */
  async function counted(): Promise<readonly (number | null | undefined)[]> {
    vi.setSystemTime(Date.now() + 2_000);
    await send(() => new Response());
    const { name } = await addresses(namingSecret(env)).rollout(id);
    const [, next] = (await env.ROLLOUT.getByName(name).status())?.variants ?? [];
    return [next?.requests, next?.errors, next?.p50Ms];
  }

  return { send, counted };
}

function sent(notes: ExchangeNotes, more: Partial<ExchangeNotes> = {}): void {
  Object.assign(notes, { isSent: true, upstreamMs: 20, ...more });
}

function fail(code: "upstream-timeout" | "breaker-open" | "request-timeout"): never {
  throw new GatewayError(code, { detail: "" });
}

describe("a request that was drawn", () => {
  const ends: readonly (readonly [string, (notes: ExchangeNotes) => Response, readonly (number | null)[]])[] = [
    ["that is answered counts with its time", (notes) => (sent(notes), new Response("a")), [1, 0, 22.627416997969522]],
    [
      "that is answered 404 is no error",
      (notes) => (sent(notes), new Response("", { status: 404 })),
      [1, 0, 22.627416997969522],
    ],
    ["that is answered 500 is one", (notes) => (sent(notes), new Response("", { status: 500 })), [1, 1, null]],
    [
      "that gets no answer to what somebody else has asked for counts there",
      () => fail("upstream-timeout"),
      [0, 0, null],
    ],
    ["that gets no answer is one", (notes) => (sent(notes, { upstreamMs: 0 }), fail("upstream-timeout")), [1, 1, null]],
    [
      "that a stale response answers is one",
      (notes) => (sent(notes, { cache: "STALE" }), new Response("a")),
      [1, 1, null],
    ],
    [
      "whose answer breaks off is one",
      (notes) => (
        sent(notes, { body: over({ kind: "source-failed", bytes: 1, error: "", heldMs: 0 }) }),
        new Response("a")
      ),
      [1, 1, null],
    ],
    [
      "whose answer its client breaks off is none",
      (notes) => (
        sent(notes, { body: over({ kind: "destination-failed", bytes: 1, error: "", heldMs: 0 }) }),
        new Response("a")
      ),
      [1, 0, 22.627416997969522],
    ],
    [
      "that is answered from what is kept counts nowhere",
      (notes) => ((notes.cache = "HIT"), new Response("a")),
      [0, 0, null],
    ],
    [
      "that a fallback answers counts nowhere",
      (notes) => (sent(notes, { fallback: "other" }), new Response("a")),
      [0, 0, null],
    ],
    ["that the gateway refuses counts nowhere", () => fail("breaker-open"), [0, 0, null]],
    [
      "whose client was slow to send it counts with its backend's time",
      (notes) => (sent(notes, { upstreamMs: 500, clientMs: () => 480 }), new Response("a")),
      [1, 0, 22.627416997969522],
    ],
    [
      "whose client left its backend next to no time counts nowhere",
      (notes) => (sent(notes, { clientMs: () => 30_000 }), fail("upstream-timeout")),
      [0, 0, null],
    ],
    [
      "whose client may never have sent all of it counts nowhere",
      (notes) => (sent(notes, { clientMs: () => Infinity }), new Response("a")),
      [0, 0, null],
    ],
    ["that its client doesn't finish counts nowhere", (notes) => (sent(notes), fail("request-timeout")), [0, 0, null]],
  ];

  it.each(ends)("%s", async (_what, end, expected) => {
    const { send, counted } = requests();
    // Before it has heard of its release an isolate counts nothing.
    await send(() => new Response());
    const exchange = await send(end);
    expect([exchange.placement, exchange.notes.variant]).toEqual([{ backend: "next", variant: "next" }, "next"]);
    expect(await counted()).toEqual(expected);
  });
});

it("an owner that doesn't answer is in no request's way, and said once a minute", async () => {
  const silent = { get: () => ({ report: () => Promise.reject(new Error("gone")) }), idFromName: () => "" };
  const { send } = requests({ ...env, ROLLOUT: Object.assign(Object.create(env.ROLLOUT), silent) });
  vi.setSystemTime(Date.now() + DAY_MS);
  for (let times = 0; times < 3; times++) {
    vi.setSystemTime(Date.now() + 2_000);
    const { placement } = await send(() => new Response());
    expect(placement).toEqual({ backend: "next", variant: "next" });
  }
  expect(warnings).toBe(1);
});

function over(end: PumpEnd): Promise<PumpEnd> {
  return Promise.resolve(end);
}
