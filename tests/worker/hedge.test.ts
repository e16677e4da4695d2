import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { parseConfig } from "../../schemas/index.ts";
import { compileTargets, launch, type Flight } from "../../worker/upstream/flight.ts";
import { compileHedge } from "../../worker/upstream/hedge.ts";
import { NOTHING } from "../../worker/upstream/request-body.ts";
import { exchangeFor } from "./exchange.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** A request whose first flight is at its origin, which answers when it is told to. */
function race() {
  const document = { backends: { api: { targets: [{ url: "https://api.example" }], hedge: { after: 1, budget: 1 } } } };
  const work: Promise<unknown>[] = [];
  const exchange = { ...exchangeFor({ prefix: "/" }, env, work), stop: new AbortController() };
  const parsed = parseConfig({ ...document, routes: [{ prefix: "/", backend: "api" }] });
  const backend = parsed.ok ? parsed.config.backends.get("api") : undefined;
  if (backend === undefined) throw new Error("the document has a backend");
  const targets = compileTargets(exchange.route.route, backend, undefined);
  const hedge = compileHedge(backend, targets);
  const [target] = targets;
  if (hedge === undefined || target === undefined) throw new Error("the backend hedges");
  const { promise, resolve } = Promise.withResolvers<Response>();
  const sent = vi.spyOn(globalThis, "fetch").mockReturnValue(promise);
  hedge.note(Date.now());
  let back = 0;
  const take = (): Flight =>
    launch(exchange, {
      target,
      choice: { kind: "target", index: 0, sticky: undefined, bind: undefined },
      attempt: undefined,
      leave: { kind: "leave", mayStart: () => true, giveBack: () => void (back += 1), hear() {} },
      visit: undefined,
      turn() {},
      isCuttable: true,
    });
  const first = take();
  const outgoing = { exchange, headers: new Headers(), body: NOTHING };
  const bring = (second: () => Promise<Flight | undefined>) =>
    hedge.bringHead(outgoing, { flights: [first], watch: { expect() {} }, retried: new Set() }, second);
  return { first, take, bring, answer: resolve, sent, work, back: () => back };
}

it("takes the first answer while a second flight still waits to be sent, and calls that one off", async () => {
  const { first, take, bring, answer, sent, work, back } = race();
  const { promise: slot, resolve: come } = Promise.withResolvers<void>();
  const second: Flight[] = [];
  const head = await bring(async () => {
    answer(new Response());
    await slot;
    second.push(take());
    return second[0];
  });
  expect(head.flight).toBe(first);
  come();
  await Promise.all(work);
  expect([sent.mock.calls.length, second.map(({ isOver }) => isOver), back()]).toEqual([1, [true], 1]);
});
