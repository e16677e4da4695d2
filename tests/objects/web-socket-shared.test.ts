import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { takeCounts } from "../../objects/web-socket-relay/told-counts.ts";
import { handshake, serveChat, SHARED } from "./opening.ts";

afterEach(() => void vi.restoreAllMocks());

it("counts a client that has left while its connection was dialled as nobody's failure", async () => {
  await serveChat({ shared: {} });
  const left = new AbortController();
  const over = Promise.withResolvers<number>();
  vi.spyOn(globalThis, "fetch").mockImplementation(async () => {
    const { 0: dialled, 1: upstream } = new WebSocketPair();
    upstream.addEventListener("close", ({ code }) => over.resolve(code));
    upstream.accept();
    left.abort();
    return new Response(null, { status: 101, webSocket: dialled });
  });
  const asked = new Request(handshake({ mode: "shared", shared: SHARED }), { signal: left.signal });
  const relay = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId());
  await runInDurableObject(relay, (object) => object.fetch(asked));
  expect(takeCounts()?.get("chat")).toEqual(new Map([["handshakes.client-left", 1]]));
  expect(await over.promise).toBe(1001);
});
