import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import type { PermitMessage } from "../../objects/rate-limiter/permits/permit-messages.ts";
import { placesOf } from "../../objects/web-socket-relay/places.ts";
import { BRIDGE } from "./opening.ts";

it("who is refused by one owner gives back what another one grants him too late", async () => {
  const timeIsUp = Promise.withResolvers<void>();
  const isRefused = Promise.withResolvers<void>();
  const isLeft = Promise.withResolvers<void>();
  /** What the late owner counts for who was refused. */
  const counted: unknown[] = [];

  async function ask({ name = "" }: DurableObjectId, message: PermitMessage) {
    if (name === "late") await isRefused.promise;
    const reply = await env.RATE_LIMITER.getByName(name).permits(message);
    if (name === "full") setTimeout(timeIsUp.resolve);
    if (name === "late") counted.push(reply.items[0]?.reply?.counted);
    if (counted.length === 2) isLeft.resolve();
    return reply;
  }

  const RATE_LIMITER = new Proxy(env.RATE_LIMITER, {
    get: (target, method) =>
      method === "get"
        ? (id: DurableObjectId) => ({ permits: (message: PermitMessage) => ask(id, message) })
        : Reflect.get(target, method).bind(target),
  });
  const places = ["full", "late"].map((owner) => ({ owner, client: "c", policy: `web-socket:chat:${owner}`, most: 1 }));
  const terms = { permits: 1, leaseMs: 60_000, operationTimeoutMs: 50_000 };
  await env.RATE_LIMITER.getByName("full").permits({
    v: 1,
    configVersion: 1,
    client: "c",
    items: [{ policy: "web-socket:chat:full", ...terms, ask: { id: "another", seq: 1, keep: 0, want: 1 } }],
  });
  vi.spyOn(scheduler, "wait").mockReturnValue(timeIsUp.promise);
  expect(await placesOf({ ...BRIDGE, places }, { ...env, RATE_LIMITER }).take()).toMatchObject({
    place: "web-socket:chat:full",
  });
  isRefused.resolve();
  await isLeft.promise;
  vi.restoreAllMocks();
  expect(counted).toEqual([1, 0]);
});
