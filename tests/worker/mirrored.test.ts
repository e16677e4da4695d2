import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { parseConfig } from "../../schemas/index.ts";
import { NOTHING } from "../../worker/upstream/request-body.ts";
import { mirrored } from "../../worker/upstream/mirrored.ts";
import { exchangeFor } from "./exchange.ts";

it.each([
  ["is copied that its backend has got", undefined, "sent"],
  ["is not copied that another backend has got in the place of its own", "spare", undefined],
])("a request %s", async (_, fallback, mirror) => {
  const document = {
    allowPrivateTargets: true,
    // Nobody listens there.
    backends: { shadow: { targets: [{ url: "http://127.0.0.1:9" }] } },
  };
  const route = { id: "r", prefix: "/", target: "https://origin.example", mirror: { backend: "shadow" } };
  const parsed = parseConfig({ ...document, routes: [route] });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const { backends } = parsed.config;
  const exchange = exchangeFor(route, env, [], document);
  const own = backends.get(exchange.route.route.backend);
  if (own === undefined) throw new Error("the route has a backend");
  const send = mirrored(exchange.route.route, {
    own,
    backends,
    send: ({ notes }) => {
      notes.isSent = true;
      if (fallback !== undefined) notes.fallback = fallback;
      return Promise.resolve(new Response());
    },
  });
  await send(exchange, new Headers(), NOTHING);
  expect(exchange.notes.mirror).toBe(mirror);
});
