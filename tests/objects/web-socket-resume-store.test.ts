import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import type { ResumeRules } from "../../objects/web-socket-relay/resume/resume-rules.ts";
import { openSessionStore, type SessionStore } from "../../objects/web-socket-relay/resume/session-store.ts";
import { createResumeSession, restoreResumeSession } from "../../objects/web-socket-relay/resume/session.ts";

const START = 1_790_000_000_000;
const RULES: ResumeRules = { holdMs: 30_000, ring: { messages: 100, bytes: 1_000_000 }, control: false, stored: true };
let objects = 0;

/** In the storage of some object: a store needs nothing else of it. */
function withStorage<Result>(work: (storage: DurableObjectStorage) => Result | Promise<Result>): Promise<Result> {
  objects += 1;
  const stub = env.SOCKET_REGISTRY.get(env.SOCKET_REGISTRY.idFromName(`storage ${objects}`));
  return runInDurableObject(stub, (_object, { storage }) => work(storage));
}

function open() {
  return createResumeSession({ epoch: "e", owner: "o", rules: RULES }, START);
}

function write(store: SessionStore, session: ReturnType<typeof open>): void {
  const flush = session.flush(START);
  if (flush !== undefined) store.write(flush);
}

function batches(storage: DurableObjectStorage): unknown[] {
  return storage.sql
    .exec("SELECT first FROM resume_batches ORDER BY first")
    .toArray()
    .map(({ first }) => first);
}

describe("the store of a session", () => {
  it("gives back what was written, text as text and binary as binary, from the oldest that is needed", async () => {
    await withStorage((storage) => {
      const [store, session] = [openSessionStore(storage), open()];
      const binary = new Uint8Array([0, 255, 7]).buffer;
      session.toClient({ data: "grüße \u0000", bytes: 10 }, START);
      session.toClient({ data: binary, bytes: 3 }, START);
      session.toClient({ data: "", bytes: 0 }, START);
      write(store, session);
      session.toClient({ data: "next", bytes: 4 }, START);
      session.fromClient(1, START);
      write(store, session);
      session.attach({ owner: "o", recv: 1 }, START);
      write(store, session);
      const stored = openSessionStore(storage).load();
      expect(stored).toEqual({
        epoch: "e",
        owner: "o",
        openedAt: START,
        recv: 1,
        restarts: 0,
        restoredTo: null,
        first: 2,
        savedAt: START,
        messages: [
          { data: binary, bytes: 3 },
          { data: "", bytes: 0 },
          { data: "next", bytes: 4 },
        ],
      });
      const restored = stored && restoreResumeSession(stored, RULES, START);
      expect(restored?.attach({ owner: "o", recv: 3 }, START)).toMatchObject({ replay: [{ data: "next" }] });
    });
  });

  it("reads what an older version wrote, which did not say when it was opened", async () => {
    await withStorage((storage) => {
      const store = openSessionStore(storage);
      write(store, open());
      storage.sql.exec("UPDATE resume_session SET record = json_remove(record, '$.openedAt')");
      expect(store.load()).toMatchObject({ epoch: "e", openedAt: null, savedAt: START });
    });
  });

  it("forgets batches of which nothing is needed, and has no table before it is written to", async () => {
    await withStorage((storage) => {
      const [store, session] = [openSessionStore(storage), open()];
      expect(store.load()).toBeUndefined();
      expect(storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name LIKE 'resume%'").toArray()).toEqual([]);
      for (const data of ["a", "b", "c"]) {
        session.toClient({ data, bytes: 1 }, START);
        session.toClient({ data, bytes: 1 }, START);
        write(store, session);
      }
      expect(batches(storage)).toEqual([1, 3, 5]);
      session.acked(3);
      session.fromClient(1, START);
      write(store, session);
      expect(batches(storage)).toEqual([3, 5]);
      session.acked(6);
      // Acknowledged before it was ever written.
      session.toClient({ data: "d", bytes: 1 }, START);
      session.acked(7);
      session.toClient({ data: "e", bytes: 1 }, START);
      write(store, session);
      expect(batches(storage)).toEqual([8]);
      expect(openSessionStore(storage).load()).toMatchObject({ first: 8, messages: [{ data: "e", bytes: 1 }] });
    });
  });

  it("writes all anew when the numbers have changed", async () => {
    await withStorage((storage) => {
      const [store, session] = [openSessionStore(storage), open()];
      session.toClient({ data: "a", bytes: 1 }, START);
      write(store, session);
      const stored = store.load();
      const restored = stored && restoreResumeSession(stored, RULES, START);
      restored?.toClient({ data: "b", bytes: 1 }, START);
      if (restored !== undefined) write(store, restored);
      restored?.attach({ owner: "o", recv: 9 }, START);
      if (restored !== undefined) write(store, restored);
      expect(batches(storage)).toEqual([10]);
      expect(store.load()).toMatchObject({ first: 10, restarts: 1, messages: [{ data: "b" }] });
    });
  });

  it.each([
    ["a record that is none", "UPDATE resume_session SET record = '{}'"],
    ["a batch whose lengths are not those of its bytes", "UPDATE resume_batches SET lengths = '[1,1]' WHERE first = 1"],
    ["a batch that is missing", "DELETE FROM resume_batches WHERE first = 2"],
  ])("logs that a session is lost with %s", async (_what, damage) => {
    const errors = vi.spyOn(console, "error").mockImplementation(() => {});
    await withStorage((storage) => {
      const [store, session] = [openSessionStore(storage), open()];
      for (const data of ["a", "b", "c"]) {
        session.toClient({ data, bytes: 1 }, START);
        write(store, session);
      }
      storage.sql.exec(damage);
      expect(openSessionStore(storage).load()).toBeUndefined();
    });
    expect(errors.mock.calls).toEqual([[JSON.stringify({ level: "error", event: "web-socket-session-lost" })]]);
    errors.mockRestore();
  });

  it("forgets everything with its session", async () => {
    await withStorage(async (storage) => {
      const [store, session] = [openSessionStore(storage), open()];
      write(store, session);
      await store.erase();
      expect(store.load()).toBeUndefined();
      expect(openSessionStore(storage).load()).toBeUndefined();
    });
  });
});
