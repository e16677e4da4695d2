import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { callbackConfig, shown, startCallback, type CallbackGateway } from "../support/web-socket/callback-gateway.ts";
import { shakeHands } from "../support/web-socket/client.ts";
import type { EventBackend } from "../support/web-socket/event-backend.ts";
import { eventually } from "../support/web-socket/relayed.ts";

let callback: CallbackGateway;
let backend: EventBackend;
let gateway: Gateway;

beforeAll(async () => {
  callback = await startCallback({
    chat: { callback: { ping: "ping", pong: "pong" } },
    short: { maxLifetime: "400ms" },
  });
  ({ backend, gateway } = callback);
});

afterEach(() => {
  backend.answer = () => ({});
});

afterAll(() => callback?.stop());

async function sessionsOf(
  query: string,
): Promise<readonly { readonly id: string; readonly [field: string]: unknown }[]> {
  const listed: { sessions: readonly { readonly id: string }[] } = JSON.parse(
    await (await callback.admin("GET", `sockets?${query}`)).text(),
  );
  return listed.sessions;
}

/** Whose relay may tell of it when its client is in already. */
function listed(id: string | undefined, query: string) {
  return eventually("its entry", async () => (await sessionsOf(query)).find((one) => one.id === id));
}

describe("what operators do", () => {
  it.each([false, true])("see a session whose backend takes its time, and close it: %s", async (isOrdered) => {
    const gate = Promise.withResolvers<void>();
    backend.answer = async ({ name }) => {
      if (name === "connect") await gate.promise;
      return {};
    };
    const opening = callback.open("/chat/late");
    const [shown] = await vi.waitUntil(async () => {
      const found = await sessionsOf("route=chat&state=connecting");
      return found.length > 0 && found;
    }, 20_000);
    const { id } = shown ?? {};
    expect(shown).toMatchObject({ mode: "callback", state: "connecting" });
    if (isOrdered) await callback.admin("DELETE", `sockets/${id}?code=4000&reason=late`);
    gate.resolve();
    const { peer, id: opened } = await opening;
    expect(opened).toBe(id);
    peer.behave();
    if (isOrdered) {
      expect(await peer.ended()).toMatchObject({ code: 4000, reason: "late" });
      return;
    }
    await callback.admin("POST", `sockets/${id}/send`, "hello");
    expect(await peer.hear()).toEqual({ kind: "text", text: "hello" });
    await listed(id, "route=chat&state=open");
    peer.close(1000);
    await peer.ended();
  });

  it("push a message to a session, list it, and close it with a code, though its client has never said anything", async () => {
    const { peer, id } = await callback.open("/chat/quiet");
    peer.behave();
    expect(await (await callback.admin("POST", `sockets/${id}/send`, "grüße")).json()).toEqual({ id, sent: true });
    expect(await peer.hear()).toEqual({ kind: "text", text: "grüße" });
    await callback.admin("POST", `sockets/${id}/send`, "12", "application/octet-stream");
    expect(await peer.hear()).toEqual({ kind: "binary", bytes: 2 });
    expect(await listed(id, "mode=callback&route=chat")).toMatchObject({ state: "open", address: "127.0.0.1" });
    await callback.admin("DELETE", `sockets/${id}?code=4000&reason=bye`);
    expect(await peer.ended()).toEqual({ code: 4000, reason: "bye", by: "fin" });
    const events = await backend.eventsOf(id, 2);
    expect(events.map(shown)).toEqual([
      ["connect", 1, ""],
      ["disconnect", 2, "bye"],
    ]);
    const line = await eventually("its line", () =>
      Promise.resolve(gateway.logs().find((one) => one["message"] === "web-socket" && one["session"] === id)),
    );
    expect(line).toMatchObject({ mode: "callback", endedBy: "gateway", closeCode: 4000, messagesOut: 2, bytesOut: 9 });
    await eventually("none of that id", async () => {
      const { status } = await callback.admin("POST", `sockets/${id}/send`, "late");
      return status === 404 || undefined;
    });
    expect((await callback.admin("GET", `sockets/${"ab".repeat(32)}`)).status).toBe(404);
  });
});

it("operators see what passes", async () => {
  const { peer, id } = await callback.open("/chat/tapped");
  backend.answer = () => ({ body: "heard" });
  const tap = (await callback.admin("GET", `sockets/${id}/tap`)).body?.pipeThrough(new TextDecoderStream()).getReader();
  peer.behave().text("said");
  expect(await peer.hear()).toEqual({ kind: "text", text: "heard" });
  peer.close(4000, "enough");
  let shown = "";
  for (let read = await tap?.read(); read?.done === false; read = await tap?.read()) shown += read.value;
  expect([...shown.matchAll(/"(?:data|code)":("\w+"|\d+)/g)].map(([, value]) => value)).toEqual([
    '"said"',
    '"heard"',
    "4000",
  ]);
});

describe("what nobody has to ask for", () => {
  it("a ping is answered, and the backend hears nothing of it", async () => {
    const { peer, id } = await callback.open("/chat/");
    peer.text("ping");
    expect(await peer.hear()).toEqual({ kind: "text", text: "pong" });
    peer.behave().text("after");
    expect((await backend.eventsOf(id, 2)).map(shown)).toEqual([
      ["connect", 1, ""],
      ["message", 2, "after"],
    ]);
    peer.close(1000);
    await peer.ended();
  });

  it("a session that has lasted long enough is closed", async () => {
    const { peer, id } = await callback.open("/short/");
    expect(await peer.behave().ended()).toMatchObject({ code: 1012, by: "fin" });
    expect((await backend.eventsOf(id, 2)).at(-1)).toMatchObject({ name: "disconnect", close: "1012" });
  });

  it("nobody but the gateway says what is an event", async () => {
    const headers = { "x-sluice-event": "message", "x-sluice-session": "forged", x_sluice_session: "forged" };
    for (const path of ["/plain/forged", "/chat/forged"]) {
      await fetch(`${gateway.url}${path}`, { method: "POST", headers, body: "forged" });
    }
    const seen = backend.seen.filter(({ target }) => target === "/forged");
    expect(seen).toHaveLength(2);
    expect(JSON.stringify(seen.map(({ headers: all }) => all))).not.toMatch(/x.sluice|"forged"/);
  });
});

it("the backend is told of the end of sessions that were killed with the runtime, once", async () => {
  const state = mkdtempSync(join(tmpdir(), "sluice-callback-"));
  // Not over before the runtime is killed, though that takes its time.
  const config = callbackConfig(backend.url, { killed: { maxLifetime: "4s" } });
  const first = await startGateway({ config, state });
  const made = await shakeHands(first.url, { path: "/killed/" });
  await first.kill();
  if (made.kind === "refused") throw new Error(made.body);
  expect(await made.peer.ended()).toMatchObject({ code: 1006 });
  const id = made.headers.find(([name]) => name.toLowerCase() === "x-ws-session")?.[1] ?? "";
  const second = await startGateway({ config, state });
  expect((await backend.eventsOf(id, 2)).map(({ name, close }) => [name, close])).toEqual([
    ["connect", undefined],
    ["disconnect", "1006"],
  ]);
  await eventually("its line", () =>
    Promise.resolve(second.logs().find((one) => one["message"] === "web-socket" && one["session"] === id)),
  );
  await second.kill();
  rmSync(state, { recursive: true });
  expect(backend.seen.filter(({ session }) => session === id)).toHaveLength(2);
});
