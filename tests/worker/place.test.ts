import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Exchange } from "../../worker/exchange.ts";
import { targetState } from "../../worker/backends/target.ts";
import { parseConfig } from "../../schemas/index.ts";
import { place } from "../../worker/steps/place.ts";
import { exchangeFor } from "./exchange.ts";

const EU = "https://eu.example";
const backends = { eu: { targets: [{ url: EU }], healthCheck: "/healthz" } };
const geo = { rules: [{ places: ["EU"], backend: "eu" }] };

/** Where a request from Europe goes, and what it does beside its answer. */
async function placed(route: object = { geo }): Promise<Pick<Exchange, "placement" | "notes"> & { work: number }> {
  const work: Promise<unknown>[] = [];
  const document = { routes: [{ id: "r", prefix: "/", target: "https://us.example", ...route }], backends };
  const parsed = parseConfig(document);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const [compiled] = parsed.config.routes;
  if (compiled === undefined) throw new Error("the document has a route");
  const exchange = exchangeFor({ prefix: "/", ...route }, env, work, { backends });
  const request = new Request("http://gateway.test/", { cf: { country: "FR", continent: "EU" } });
  const sent: Exchange = { ...exchange, request, notes: {} };
  await place(compiled, parsed.config.backends)?.(sent, async () => new Response());
  await Promise.all(work);
  return { ...(sent.placement && { placement: sent.placement }), notes: sent.notes, work: work.length };
}

describe("a backend that health checks call down", () => {
  it("is passed over and asked about, until they call it well again", async () => {
    expect(await placed()).toEqual({ placement: { backend: "eu" }, notes: { place: "continent:EU" }, work: 0 });
    targetState(EU).downSince = Date.now();
    // Its owner is asked for news though no request goes there.
    expect(await placed()).toEqual({ notes: { place: "default" }, work: 1 });
    targetState(EU).downSince = undefined;
    expect(await placed()).toMatchObject({ placement: { backend: "eu" } });
  });
});

it("what another configuration has placed is refused", async () => {
  const { route, ...exchange } = exchangeFor({ prefix: "/" }, env);
  const asking = route.tail({ ...exchange, route, placement: { backend: "eu" } });
  await expect(asking).rejects.toMatchObject({ code: "dependency-unavailable" });
});

it("a route with neither places nor variants has no step", () => {
  const { route } = exchangeFor({ prefix: "/" }, env).route;
  expect(place(route, new Map())).toBeUndefined();
});
