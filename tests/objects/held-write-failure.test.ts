import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { handshake, HELD, serveChat } from "./opening.ts";

beforeAll(() => serveChat({ held: { durable: true } }));

beforeEach(() => {
  for (const name of ["log", "warn", "error"] as const) vi.spyOn(console, name).mockImplementation(() => {});
  vi.spyOn(globalThis, "fetch").mockImplementation(() => {
    const { 0: dialled, 1: upstream } = new WebSocketPair();
    upstream.accept();
    return Promise.resolve(new Response(null, { status: 101, webSocket: dialled }));
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

it("what cannot be written is not acknowledged: the session dies with its object, and is what it was", async () => {
  const owner = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.idFromName("written in vain"), {
    retry: { maxRetries: 0 },
  });
  const held = { ...HELD, control: true, durable: true };
  const { webSocket: socket } = await owner.fetch(handshake({ mode: "held", held }));
  if (socket === null) throw new Error("no session");
  const heard: string[] = [];
  let wake = () => {};
  const over = new Promise<number>((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
  socket.addEventListener("message", ({ data }) => {
    heard.push(String(data));
    wake();
  });
  socket.accept();
  socket.send("one");
  while (!heard.some((text) => text.includes("ack"))) await new Promise<void>((resolve) => (wake = resolve));
  await runInDurableObject(owner, (_object, { storage }) => void storage.sql.exec("DROP TABLE resume_session"));
  socket.send("two");
  expect(await over).toBe(1006);
  expect(heard.filter((text) => text.includes("ack"))).toEqual(['\u0000fg:ack{"n":1}']);
});
