import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { openSocket, shakeHands } from "../support/web-socket/client.ts";
import { WebSocketOrigin } from "../support/web-socket/origin.ts";
import type { Peer } from "../support/web-socket/peer.ts";

/** Isolates look at KV every 5 s, objects at the configuration every 10 s; the rest is for a busy machine. */
const PATIENCE_MS = 60_000;

let before: WebSocketOrigin;
let after: WebSocketOrigin;
let gateway: Gateway;

const ROUTES: Readonly<Record<string, object>> = {
  keep: { mode: "bridge", onRouteChange: "keep" },
  drain: { mode: "bridge", drainTime: "500ms" },
  close: { mode: "bridge", onRouteChange: "close" },
  cut: { mode: "splice", onRouteChange: "close" },
  same: { mode: "bridge", onRouteChange: "close" },
  gone: { mode: "bridge", drainTime: "500ms" },
  off: { mode: "bridge", onRouteChange: "close" },
  reset: { mode: "bridge", onRouteChange: "close" },
  held: { mode: "held", onRouteChange: "close" },
  shared: { mode: "shared", onRouteChange: "close" },
};
/** What some of them have instead, on the same target. */
const CHANGED: Readonly<Record<string, unknown>> = {
  off: false,
  reset: { mode: "bridge", idle: "1h", onRouteChange: "close" },
};
/** Those that stay where they are. */
const UNMOVED = new Set(["same", ...Object.keys(CHANGED)]);

beforeAll(async () => {
  [before, after] = await Promise.all([WebSocketOrigin.start(), WebSocketOrigin.start()]);
  gateway = await startGateway({
    entry: fileURLToPath(new URL("../support/kv-config-entry.ts", import.meta.url)),
    config: document(before.url, Object.keys(ROUTES)),
  });
  await configure(10, document(before.url, Object.keys(ROUTES)));
});

afterAll(async () => {
  await gateway?.kill();
  await Promise.all([before?.stop(), after?.stop()]);
});

function document(target: string, ids: readonly string[]): unknown {
  return {
    allowPrivateTargets: true,
    routes: ids.map((id) => ({
      id,
      prefix: `/${id}`,
      target: UNMOVED.has(id) ? before.url : target,
      // Not what a session is made of.
      timeouts: { total: target === before.url ? "20s" : "30s" },
      webSocket: target === before.url ? ROUTES[id] : (CHANGED[id] ?? ROUTES[id]),
    })),
  };
}

async function configure(version: number, config: unknown): Promise<void> {
  const headers = { "x-test-config-version": String(version) };
  await (await fetch(gateway.url, { method: "PUT", headers, body: JSON.stringify(config) })).text();
}

it(
  "sessions are kept, drained or closed when their route goes elsewhere, is set otherwise, switched off or vanishes",
  { timeout: PATIENCE_MS * 2 },
  async () => {
    const clients: Record<string, Peer> = {};
    for (const id of Object.keys(ROUTES))
      clients[id] = (await openSocket(gateway.url, { path: `/${id}/echo` })).behave();
    await configure(
      11,
      document(
        after.url,
        Object.keys(ROUTES).filter((id) => id !== "gone"),
      ),
    );
    await vi.waitFor(async () => {
      const knock = await shakeHands(gateway.url, { path: "/gone/echo" });
      if (knock.kind === "open") knock.peer.destroy();
      expect(knock.status).toBe(404);
    }, PATIENCE_MS);
    const ended = ["drain", "close", "cut", "gone", "off", "reset", "held", "shared"].map(async (id) => [
      id,
      await clients[id]?.ended(),
    ]);
    expect(Object.fromEntries(await Promise.all(ended))).toEqual({
      drain: { code: 1012, reason: "route changed", by: "fin" },
      close: { code: 1012, reason: "route changed", by: "fin" },
      cut: expect.objectContaining({ code: 1006 }),
      gone: { code: 1012, reason: "route changed", by: "fin" },
      off: { code: 1012, reason: "route changed", by: "fin" },
      reset: { code: 1012, reason: "route changed", by: "fin" },
      // It would find its session again, with the origin that it has.
      held: { code: 1001, reason: "route changed", by: "fin" },
      shared: { code: 1012, reason: "route changed", by: "fin" },
    });
    for (const id of ["keep", "same"]) {
      clients[id]?.text("still here");
      expect(await clients[id]?.hear()).toEqual({ kind: "text", text: "still here" });
      clients[id]?.destroy();
    }
  },
);
