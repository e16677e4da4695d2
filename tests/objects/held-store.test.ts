import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { forgetHeld, openHeldStore } from "../../objects/web-socket-relay/held/held-store.ts";
import type { ResumeRules } from "../../objects/web-socket-relay/resume/resume-rules.ts";
import { createResumeSession } from "../../objects/web-socket-relay/resume/session.ts";

const RULES: ResumeRules = { holdMs: 30_000, ring: { messages: 100, bytes: 1_000_000 }, control: false, stored: true };
const FIRSTS = ["init", new Uint8Array([16, 0, 255]).buffer].map((data) => ({ data, bytes: 4 }));
let objects = 0;

function relay() {
  objects += 1;
  return env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.idFromName(`held ${objects}`));
}

function write(storage: DurableObjectStorage, now: number, count = FIRSTS.length) {
  const store = openHeldStore(storage);
  const flush = createResumeSession({ epoch: "e", owner: "o", rules: RULES }, now).flush(now);
  if (flush === undefined) throw new Error("nothing to write");
  store.write(flush, FIRSTS.slice(0, count));
  return { store, flush };
}

describe("the store of a session that outlives its object", () => {
  it("gives back the client's first messages, whenever they came", async () => {
    await runInDurableObject(relay(), (_object, { storage }) => {
      const { store, flush } = write(storage, 1, 1);
      store.write(flush, FIRSTS);
      const stored = openHeldStore(storage).load();
      expect(stored?.firsts.map(({ data }) => data)).toEqual(FIRSTS.map(({ data }) => data));
      expect(stored?.session).toMatchObject({ epoch: "e", owner: "o", recv: 0 });
    });
  });

  it("holds nothing before the first write, nothing after the end, and a new session then", async () => {
    await runInDurableObject(relay(), async (_object, { storage }) => {
      expect(openHeldStore(storage).load()).toBeUndefined();
      expect(await forgetHeld(storage, 1)).toBe(false);
      const { store, flush } = write(storage, 1);
      await store.erase();
      expect([store.load(), await storage.getAlarm()]).toEqual([undefined, null]);
      store.write(flush, FIRSTS);
      expect(openHeldStore(storage).load()?.firsts.length).toBe(FIRSTS.length);
    });
  });

  it("is forgotten by an alarm when nobody can come back to it any more, and not before", async () => {
    const stub = relay();
    const tables = () =>
      runInDurableObject(stub, (_object, { storage }) =>
        storage.sql.exec("SELECT name FROM sqlite_master WHERE name LIKE 'held%' OR name LIKE 'resume%'").toArray(),
      );
    await runInDurableObject(stub, (_object, { storage }) => void write(storage, Date.now()));
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect((await tables()).length).toBe(3);
    await runInDurableObject(stub, (_object, { storage }) => void write(storage, Date.now() - 1_800_000));
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await tables()).toEqual([]);
  });
});
