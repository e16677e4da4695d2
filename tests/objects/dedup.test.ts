import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ClaimMessage, KeptAnswer, SettleMessage } from "../../objects/dedup/idempotency-messages.ts";
import type { AttemptOutcome, IdempotencyPolicy } from "../../objects/dedup/idempotency.ts";

const DAY_MS = 86_400_000;
const POLICY: IdempotencyPolicy = { ttlMs: DAY_MS, onUnknown: "refuse", deadlineMs: 35_000 };
const RETRY: IdempotencyPolicy = { ...POLICY, onUnknown: "retry" };

let objects = 0;

function newKey() {
  objects += 1;
  return env.DEDUP.getByName(`key ${objects}`);
}

type Owner = ReturnType<typeof newKey>;

beforeEach(() => {
  // A day ahead, so that the runtime's own clock, which alarms go by, reaches none of the times that objects set.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + DAY_MS });
});

afterEach(() => {
  vi.useRealTimers();
});

function passes(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

function claim(name: string, terms: Partial<ClaimMessage> = {}): ClaimMessage {
  return { v: 1, claim: name, fingerprint: "f", policy: POLICY, ...terms };
}

function settled(name: string, outcome: AttemptOutcome, answer: KeptAnswer | null = null): SettleMessage {
  return { v: 1, claim: name, outcome, answer };
}

function answer(text: string | null): KeptAnswer {
  return {
    status: 201,
    statusText: "Made",
    headers: [
      { name: "set-cookie", value: "a=1" },
      { name: "set-cookie", value: "b=2" },
    ],
    body: text === null ? null : Uint8Array.from(new TextEncoder().encode(text)).buffer,
  };
}

/** Names of what an object keeps: its tables, and "alarm". */
function kept(owner: Owner): Promise<unknown[]> {
  return runInDurableObject(owner, async (_object, { storage }) => {
    const names = storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray();
    const alarm = await storage.getAlarm();
    return [...names.map(({ name }) => name), ...(alarm === null ? [] : ["alarm"])];
  });
}

/** What a claim throws. */
function whyNot(owner: Owner, message: ClaimMessage): Promise<string> {
  return runInDurableObject(owner, (object) => {
    try {
      return `nothing, but ${object.claim(message).kind}`;
    } catch (error) {
      return String(error);
    }
  });
}

/** Goes to the time of the alarm and lets it ring. */
async function ring(owner: Owner): Promise<void> {
  const at = await runInDurableObject(owner, (_object, { storage }) => storage.getAlarm());
  vi.setSystemTime(at ?? Number.NaN);
  await runDurableObjectAlarm(owner);
}

describe("the owner of a key", () => {
  it("lets one of a hundred send that ask at once", async () => {
    const owner = newKey();
    const asked = Array.from({ length: 100 }, (_, index) => owner.claim(claim(`claim ${index}`)));
    const kinds = (await Promise.all(asked)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "run")).toHaveLength(1);
    expect(kinds.filter((kind) => kind === "in-flight")).toHaveLength(99);
  });

  it.each(["a body", "", null])("gives the answer that was kept, its body %j", async (text) => {
    const owner = newKey();
    await owner.claim(claim("first"));
    await owner.settle(settled("first", "stored", answer(text)));
    const reply = await owner.claim(claim("second"));
    expect(reply).toEqual({ v: 1, kind: "replay", answer: answer(text) });
  });

  it("remembers what is under way when it is evicted, and takes the outcome after that", async () => {
    const owner = newKey();
    await owner.claim(claim("first"));
    await evictDurableObject(owner);
    expect(await owner.claim(claim("second"))).toEqual({ v: 1, kind: "in-flight" });
    await evictDurableObject(owner);
    expect(await owner.settle(settled("first", "stored", answer("late")))).toEqual({ v: 1, isLatest: true });
    await evictDurableObject(owner);
    expect(await owner.claim(claim("third"))).toEqual({ v: 1, kind: "replay", answer: answer("late") });
  });

  it("says that nobody knows once the outcome should have come, and still takes it", async () => {
    const owner = newKey();
    await owner.claim(claim("first"));
    const until = Date.now() + DAY_MS;
    passes(POLICY.deadlineMs);
    await evictDurableObject(owner);
    expect(await owner.claim(claim("second"))).toEqual({ v: 1, kind: "outcome-unknown", isDone: false, until });
    await owner.settle(settled("first", "stored", answer("late")));
    expect(await owner.claim(claim("third"))).toEqual({ v: 1, kind: "replay", answer: answer("late") });
  });

  it("lets another send after an unknown outcome where the policy does, and takes no word of the first then", async () => {
    const owner = newKey();
    await owner.claim(claim("first", { policy: RETRY }));
    await owner.settle(settled("first", "unknown"));
    expect(await owner.claim(claim("second", { policy: RETRY }))).toEqual({ v: 1, kind: "run" });
    expect(await owner.settle(settled("first", "stored", answer("old")))).toEqual({ v: 1, isLatest: false });
    expect(await owner.claim(claim("third", { policy: RETRY }))).toEqual({ v: 1, kind: "in-flight" });
  });

  it("never lets another send after an answer that was too large to be kept", async () => {
    const owner = newKey();
    await owner.claim(claim("first", { policy: RETRY }));
    const until = Date.now() + DAY_MS;
    await owner.settle(settled("first", "too-large"));
    const reply = await owner.claim(claim("second", { policy: RETRY }));
    expect(reply).toEqual({ v: 1, kind: "outcome-unknown", isDone: true, until });
  });

  it("keeps the first outcome when it is told twice", async () => {
    const owner = newKey();
    await owner.claim(claim("first"));
    await owner.settle(settled("first", "stored", answer("one")));
    expect(await owner.settle(settled("first", "unknown"))).toEqual({ v: 1, isLatest: true });
    expect(await owner.claim(claim("second"))).toEqual({ v: 1, kind: "replay", answer: answer("one") });
  });

  it("refuses another request, whatever became of the first", async () => {
    const owner = newKey();
    const other = () => owner.claim(claim("other", { fingerprint: "g" }));
    await owner.claim(claim("first"));
    expect(await other()).toEqual({ v: 1, kind: "reused" });
    await owner.settle(settled("first", "stored", answer("one")));
    expect(await other()).toEqual({ v: 1, kind: "reused" });
  });

  it("keeps nothing of a claim that is given back", async () => {
    const owner = newKey();
    await owner.claim(claim("first"));
    expect(await kept(owner)).toEqual(["idempotency", "alarm"]);
    await owner.settle(settled("first", "not-sent"));
    expect(await kept(owner)).toEqual([]);
    expect(await owner.claim(claim("second", { fingerprint: "g" }))).toEqual({ v: 1, kind: "run" });
  });

  it.each(["stored", "unknown", "too-large"] as const)(
    "forgets all of it when its time is over: %s",
    async (outcome) => {
      const owner = newKey();
      const begun = Date.now();
      await owner.claim(claim("first"));
      await owner.settle(settled("first", outcome, outcome === "stored" ? answer("one") : null));
      await evictDurableObject(owner);
      await ring(owner);
      expect(Date.now() - begun).toBe(DAY_MS);
      expect(await kept(owner)).toEqual([]);
      expect(await owner.claim(claim("second", { fingerprint: "g" }))).toEqual({ v: 1, kind: "run" });
    },
  );

  it("holds what may be under way longer than its time, and forgets it then", async () => {
    const owner = newKey();
    const policy = { ...POLICY, ttlMs: 1_000 };
    await owner.claim(claim("first", { policy }));
    passes(2_000);
    expect(await owner.claim(claim("second", { policy }))).toEqual({ v: 1, kind: "in-flight" });
    await ring(owner);
    expect(await kept(owner)).toEqual([]);
  });

  it("stores nothing of a claim that it never heard of", async () => {
    const owner = newKey();
    expect(await owner.settle(settled("stray", "unknown"))).toEqual({ v: 1, isLatest: false });
    expect(await kept(owner)).toEqual([]);
  });

  it("answers nobody, and lets nobody send, when it cannot read what it stored", async () => {
    const owner = newKey();
    await owner.claim(claim("first"));
    await runInDurableObject(owner, (_object, { storage }) => {
      storage.sql.exec("UPDATE idempotency SET kind = 'from another age'");
    });
    await evictDurableObject(owner);
    expect(await whyNot(owner, claim("second"))).toBe("Error: what is stored of this key cannot be read");
    await ring(owner);
    expect(await kept(owner)).toEqual([]);
  });

  it.each<readonly [string, object, string]>([
    ["version", { v: 2 }, "v: got 2, wanted 1; deploy the Worker and its objects together"],
    ["claim", { claim: "" }, "claim: got , wanted 1 to 64 characters"],
    ["fingerprint", { fingerprint: "f".repeat(65) }, "wanted 1 to 64 characters"],
    ["ttl", { policy: { ...POLICY, ttlMs: 0 } }, "policy.ttlMs: got 0, wanted an integer >= 1"],
    ["deadline", { policy: { ...POLICY, deadlineMs: 0.5 } }, "policy.deadlineMs: got 0.5, wanted an integer >= 1"],
    ["choice", { policy: { ...POLICY, onUnknown: "no" } }, "policy.onUnknown: got no, wanted refuse or retry"],
    ["policy", { policy: 1 }, "policy: got 1, wanted an object"],
  ])("takes no claim with a wrong %s", async (_, wrong, problem) => {
    const owner = newKey();
    expect(await whyNot(owner, { ...claim("first"), ...wrong })).toContain(problem);
    expect(await kept(owner)).toEqual([]);
  });

  it.each<readonly [string, object, string]>([
    ["outcome", { outcome: "lost" }, "outcome: got lost, wanted one of stored, too-large, not-sent, unknown"],
    ["answer", { outcome: "unknown", answer: answer("x") }, "answer: got an object, wanted null"],
    ["status", { answer: { ...answer("x"), status: 101 } }, "answer.status: got 101, wanted 200 to 599"],
    ["status text", { answer: { ...answer("x"), statusText: 1 } }, "answer.statusText: got 1, wanted a text"],
    ["headers", { answer: { ...answer("x"), headers: null } }, "answer.headers: got null, wanted a list"],
    ["body", { answer: { ...answer("x"), body: "x" } }, "answer.body: got x, wanted bytes or null"],
    ["size", { answer: { ...answer("x"), body: new ArrayBuffer(2 ** 21) } }, "wanted at most 1572864 bytes"],
  ])("takes no settlement with a wrong %s", async (_, wrong, problem) => {
    const owner = newKey();
    await owner.claim(claim("first"));
    const told = await runInDurableObject(owner, (object) =>
      object.settle({ ...settled("first", "stored", answer("x")), ...wrong }).catch(String),
    );
    expect(told).toContain(problem);
    expect(await owner.claim(claim("second"))).toEqual({ v: 1, kind: "in-flight" });
  });

  it("keeps an answer of the largest size, with many fields", async () => {
    const owner = newKey();
    const headers = Array.from({ length: 100 }, (_, index) => ({ name: `x-${index}`, value: "v".repeat(1_000) }));
    const large = { status: 200, statusText: "OK", headers, body: new ArrayBuffer(1.5 * 2 ** 20) };
    await owner.claim(claim("first"));
    await owner.settle(settled("first", "stored", large));
    const reply = await owner.claim(claim("second"));
    expect(reply.kind === "replay" && reply.answer.body?.byteLength).toBe(1.5 * 2 ** 20);
  });
});
