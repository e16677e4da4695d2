import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { addresses } from "../../objects/address.ts";
import type { ReportItem, ReportMessage } from "../../objects/rate-limiter/bans/abuse-messages.ts";
import type { AttemptReport } from "../../objects/rate-limiter/bans/attempts.ts";
import type { LeaseMessage } from "../../objects/rate-limiter/leases/lease-messages.ts";
import type { TakeMessage } from "../../objects/rate-limiter/messages.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const LIMIT = { policy: "minute", tokensPerWindow: 10, windowMs: 60_000 };
const RULE = { factor: 5, durationsMs: [DAY_MS], rememberMs: DAY_MS };
const REASON = "minute: 50 attempts or more within 60000 ms";

let objects = 0;

function newObject() {
  objects += 1;
  return env.RATE_LIMITER.getByName(`bans ${objects}`);
}

type Limiter = ReturnType<typeof newObject>;

async function index() {
  const { name } = await addresses(String(env.NAMING_SECRET)).banIndex();
  return env.RATE_LIMITER.getByName(name);
}

/** The bans that the index lists of one client. */
async function listed(client: string) {
  const list = await (await index()).listBans({ v: 1, limit: 10, after: null, filter: client });
  return list.bans;
}

/** Clients of different tests meet in one index. */
function newClient(): string {
  objects += 1;
  return `client ${objects}`;
}

function attempts(count: number, seq = 1, sentAt = Date.now()): AttemptReport {
  return { isolate: "isolate", seq, sentAt, counts: [{ ageMs: 0, count }] };
}

function reportOf(client: string, report: AttemptReport, item: Partial<ReportItem> = {}): ReportMessage {
  return { v: 1, configVersion: 1, client, items: [{ ...LIMIT, ban: RULE, ...item, report }] };
}

function takeOf(client: string): TakeMessage {
  return { v: 1, configVersion: 1, client, items: [{ ...LIMIT, burst: 10, cost: 1, shadow: false }] };
}

function leaseItem() {
  return { ...LIMIT, burst: 10, cost: 1, shadow: false, held: 0, spent: [], rate: 5, denied: 0 };
}

function leaseOf(client: string, seq: number): LeaseMessage {
  const numbers = { seq, leaseId: null, keep: false, want: 4, spanMs: 0, binMs: 1 };
  return { v: 1, configVersion: 1, client, isolate: "isolate", ...numbers, items: [leaseItem()] };
}

function tables(limiter: Limiter): Promise<unknown[]> {
  return runInDurableObject(limiter, (_object, { storage }) =>
    storage.sql
      .exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name")
      .toArray()
      .map(({ name }) => name),
  );
}

/** How many bans and unbans the index has not acknowledged. */
function unheard(limiter: Limiter): Promise<number> {
  return runInDurableObject(
    limiter,
    (_object, { storage }) => storage.sql.exec("SELECT 1 FROM ban_news").toArray().length,
  );
}

/** Moves the clock that objects read; the runtime's own timers go on. */
function atTime(now: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now });
}

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a client that attempts five times its limit", () => {
  it("is banned for 24 hours, from the report that shows it, and told so by take and lease", async () => {
    const now = Date.now();
    atTime(now);
    const [limiter, client] = [newObject(), newClient()];
    expect(await limiter.report(reportOf(client, attempts(49)))).toEqual({
      v: 1,
      items: [{ policy: "minute", attempts: 49, isolates: 1 }],
    });
    const ban = { remainingMs: DAY_MS, reason: REASON };
    expect(await limiter.report(reportOf(client, attempts(1, 2)))).toEqual({
      v: 1,
      items: [{ policy: "minute", attempts: 0, isolates: 1 }],
      ban,
    });
    expect(await limiter.take(takeOf(client))).toEqual({
      v: 1,
      allowed: false,
      items: [{ policy: "minute", allowed: false, remaining: 0, retryAfterMs: DAY_MS }],
      ban,
    });
    expect(await limiter.lease(leaseOf(client, 1))).toMatchObject({ allowed: false, leaseId: null, ban });
    expect(await limiter.inspect(client)).toEqual({
      v: 1,
      client,
      lastDecisions: [],
      policies: [],
      permits: [],
      ban: { since: now, until: now + DAY_MS, remainingMs: DAY_MS, reason: REASON },
    });
    // Nothing was decided: not a token is gone.
    expect(await tables(limiter)).toEqual(["abuse", "ban_news"]);
  });

  it("stays banned through evictions, to the millisecond, and not longer", async () => {
    const now = Date.now();
    atTime(now);
    const [limiter, client] = [newObject(), newClient()];
    await limiter.report(reportOf(client, attempts(30)));
    await evictDurableObject(limiter);
    await limiter.report(reportOf(client, attempts(20, 2)));
    await evictDurableObject(limiter);
    atTime(now + DAY_MS - 1);
    expect((await limiter.take(takeOf(client))).ban).toEqual({ remainingMs: 1, reason: REASON });
    atTime(now + DAY_MS);
    expect(await limiter.take(takeOf(client))).toMatchObject({ allowed: true });
    await evictDurableObject(limiter);
    expect((await limiter.take(takeOf(client))).ban).toBeUndefined();
  });

  it("is not banned for reports that arrive again, also after an eviction", async () => {
    const [limiter, client] = [newObject(), newClient()];
    const report = attempts(30);
    for (const evicted of [false, false, true, false, true]) {
      if (evicted) await evictDurableObject(limiter);
      const { items, ban } = await limiter.report(reportOf(client, report));
      expect([items[0]?.attempts, ban]).toEqual([30, undefined]);
    }
  });

  it("is stopped alone: others in the same object go on", async () => {
    const [limiter, client] = [newObject(), newClient()];
    await limiter.report(reportOf(client, attempts(50)));
    expect((await limiter.take(takeOf("neighbour"))).allowed).toBe(true);
    expect((await limiter.take(takeOf(client))).allowed).toBe(false);
  });

  it("is decided about all the same where the Worker asks for that, and the ban is told", async () => {
    const [limiter, client] = [newObject(), newClient()];
    await limiter.report(reportOf(client, attempts(50)));
    expect(await limiter.take({ ...takeOf(client), evenIfBanned: true })).toMatchObject({
      allowed: true,
      ban: { reason: REASON },
    });
    expect(await limiter.lease({ ...leaseOf(client, 1), evenIfBanned: true })).toMatchObject({
      allowed: true,
      ban: { reason: REASON },
    });
  });

  it("is banned under the rule of the newer configuration, and attempts in windows of another length don't add up", async () => {
    const [limiter, client] = [newObject(), newClient()];
    const newer = { ...reportOf(client, attempts(45), { tokensPerWindow: 20 }), configVersion: 2 };
    await limiter.report(newer);
    expect((await limiter.report(reportOf(client, attempts(45, 2)))).ban).toBeUndefined();
    const longer = { ...reportOf(client, attempts(40, 3), { windowMs: HOUR_MS }), configVersion: 3 };
    const reply = await limiter.report(longer);
    expect([reply.items[0]?.attempts, reply.ban]).toEqual([40, undefined]);
  });
});

describe("an operator", () => {
  it("bans a client that nothing is known of, and ends the ban again", async () => {
    const now = Date.now();
    atTime(now);
    const [limiter, client] = [newObject(), newClient()];
    const view = { since: now, until: now + HOUR_MS, remainingMs: HOUR_MS, reason: "scraping" };
    expect(await limiter.ban(client, { durationMs: HOUR_MS, reason: "scraping" })).toEqual(view);
    await evictDurableObject(limiter);
    expect((await limiter.inspect(client))?.ban).toEqual(view);
    expect(await limiter.unban(client)).toEqual({ v: 1, wasBanned: true });
    expect(await limiter.unban(client)).toEqual({ v: 1, wasBanned: false });
    await evictDurableObject(limiter);
    expect((await limiter.take(takeOf(client))).allowed).toBe(true);
  });

  it("forgives what led to a ban: late reports of it don't renew it", async () => {
    const now = Date.now();
    atTime(now);
    const [limiter, client] = [newObject(), newClient()];
    await limiter.report(reportOf(client, attempts(50)));
    atTime(now + 1_000);
    await limiter.unban(client);
    await evictDurableObject(limiter);
    expect((await limiter.report(reportOf(client, attempts(90, 2, now + 999)))).ban).toBeUndefined();
    expect((await limiter.report(reportOf(client, attempts(50, 3, now + 1_000)))).ban).toBeDefined();
  });
});

describe("an operator's gift", () => {
  it("fills a client's limits but for what is on lease, and is there after an eviction", async () => {
    const [limiter, client] = [newObject(), newClient()];
    await limiter.take({ ...takeOf(client), items: [{ ...LIMIT, burst: 10, cost: 4, shadow: false }] });
    const { items } = await limiter.lease({ ...leaseOf(client, 1), items: [{ ...leaseItem(), cost: 0 }] });
    const lent = items[0]?.granted ?? 0;
    expect(lent).toBeGreaterThan(0);
    expect(await limiter.reset(client)).toEqual({ v: 1, existed: true });
    await evictDurableObject(limiter);
    expect((await limiter.inspect(client))?.policies).toMatchObject([{ remaining: 10 - lent, outstanding: lent }]);
  });

  it("of some tokens is there after an eviction, and stops at the ceiling", async () => {
    const [limiter, client] = [newObject(), newClient()];
    expect(await limiter.grant(client, { policy: "minute", tokens: 5 })).toBeNull();
    await limiter.take({ ...takeOf(client), items: [{ ...LIMIT, burst: 10, cost: 10, shadow: false }] });
    expect(await limiter.grant(client, { policy: "minute", tokens: 5 })).toEqual({ v: 1, granted: 5, remaining: 5 });
    await evictDurableObject(limiter);
    expect(await limiter.grant(client, { policy: "minute", tokens: 50 })).toMatchObject({ granted: 5, remaining: 10 });
    expect(await limiter.grant(client, { policy: "other", tokens: 1 })).toBeNull();
  });
});

describe("the index of bans", () => {
  it("lists a ban with its reason and end until it is over or ended", async () => {
    const now = Date.now();
    atTime(now);
    const [limiter, client, other] = [newObject(), newClient(), newClient()];
    await limiter.report(reportOf(client, attempts(50)));
    await limiter.ban(other, { durationMs: HOUR_MS, reason: "scraping" });
    await runDurableObjectAlarm(limiter);
    expect(await listed(client)).toEqual([{ client, since: now, until: now + DAY_MS, reason: REASON }]);
    expect(await listed(other)).toEqual([{ client: other, since: now, until: now + HOUR_MS, reason: "scraping" }]);
    await limiter.unban(client);
    await runDurableObjectAlarm(limiter);
    expect(await listed(client)).toEqual([]);
    atTime(now + HOUR_MS);
    expect(await listed(other)).toEqual([]);
  });

  it("hears of a ban from the alarm when it was silent, and after a crash of the owner", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const [limiter, client] = [newObject(), newClient()];
    const silent = await index();
    const news = { client: "c", at: 1, until: Date.now() + HOUR_MS, ban: { since: 1, reason: "first" } };
    await silent.noteBans({ v: 1, items: [news] });
    await runInDurableObject(silent, (_object, { storage }) => {
      storage.sql.exec("CREATE TRIGGER full BEFORE INSERT ON bans BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    });
    await limiter.ban(client, { durationMs: HOUR_MS, reason: "unheard" });
    await runDurableObjectAlarm(limiter);
    expect(log.mock.calls.join()).toContain("disk full");
    await evictDurableObject(limiter);
    expect(await unheard(limiter)).toBe(1);
    await runInDurableObject(silent, (_object, { storage }) => storage.sql.exec("DROP TRIGGER full"));
    await runDurableObjectAlarm(limiter);
    expect(await listed(client)).toMatchObject([{ client, reason: "unheard" }]);
    expect(await unheard(limiter)).toBe(0);
  });

  it("hears of a ban though news of another one cannot be read", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const [limiter, lost, client] = [newObject(), "a lost one", newClient()];
    await limiter.ban(client, { durationMs: HOUR_MS, reason: "before" });
    await runInDurableObject(limiter, (_object, { storage }) => {
      storage.sql.exec("INSERT INTO ban_news VALUES (?, '{}')", lost);
    });
    await limiter.ban(client, { durationMs: HOUR_MS, reason: "after" });
    await runDurableObjectAlarm(limiter);
    expect(await listed(client)).toMatchObject([{ client, reason: "after" }]);
    expect(await unheard(limiter)).toBe(0);
  });

  it("takes news once, in any order, and the newest counts", async () => {
    const now = Date.now();
    const [bans, client] = [await index(), newClient()];
    const ban = { since: now, reason: "scraping" };
    const began = { client, at: now, until: now + HOUR_MS, ban };
    await bans.noteBans({ v: 1, items: [began, began] });
    expect(await listed(client)).toEqual([{ client, until: now + HOUR_MS, ...ban }]);
    await bans.noteBans({ v: 1, items: [{ ...began, at: now + 2, ban: null }] });
    await bans.noteBans({ v: 1, items: [began] });
    expect(await listed(client)).toEqual([]);
    await bans.noteBans({ v: 1, items: [{ ...began, at: now + 3 }] });
    expect(await listed(client)).toHaveLength(1);
  });

  it("keeps the newest 10,000 and says how many more there may be, page by page", async () => {
    const now = Date.now();
    atTime(now);
    const bans = newObject();
    const items = Array.from({ length: 10_100 }, (_, index) => ({
      client: `c${index}`,
      at: now + index,
      until: now + HOUR_MS,
      // Two at a time: a page may end between them.
      ban: { since: now + Math.floor(index / 2), reason: index % 100 === 0 ? "Scraping" : "too much" },
    }));
    for (let from = 0; from < items.length; from += 1_000) {
      await bans.noteBans({ v: 1, items: items.slice(from, from + 1_000) });
    }
    const all: string[] = [];
    let after = null;
    for (let pages = 0; pages < 40; pages += 1) {
      const page = await bans.listBans({ v: 1, limit: 333, after, filter: null });
      expect([page.listed, page.more]).toEqual([10_000, 100]);
      all.push(...page.bans.map(({ client }) => client));
      after = page.next;
      if (after === null) break;
    }
    expect(new Set(all)).toEqual(new Set(items.slice(100).map(({ client }) => client)));
    expect(all).toHaveLength(10_000);
    const scrapers = await bans.listBans({ v: 1, limit: 1_000, after: null, filter: "scraping" });
    expect([scrapers.bans.length, scrapers.next]).toEqual([100, null]);
    atTime(now + HOUR_MS);
    expect(await bans.listBans({ v: 1, limit: 1, after: null, filter: null })).toEqual({
      v: 1,
      bans: [],
      next: null,
      listed: 0,
      more: 0,
    });
    await runDurableObjectAlarm(bans);
    expect(await tables(bans)).toEqual([]);
  });
});

describe("what is remembered", () => {
  it("goes by alarm once the ban is over, and the object's storage with it", async () => {
    const now = Date.now();
    atTime(now);
    const [limiter, client] = [newObject(), newClient()];
    await limiter.report(reportOf(client, attempts(50)));
    await runDurableObjectAlarm(limiter);
    atTime(now + DAY_MS - 1);
    await runDurableObjectAlarm(limiter);
    expect((await limiter.take(takeOf(client))).allowed).toBe(false);
    atTime(now + DAY_MS + HOUR_MS);
    await runDurableObjectAlarm(limiter);
    expect(await tables(limiter)).toEqual([]);
  });

  it("costs nothing in an object that nobody was reported to", async () => {
    const limiter = newObject();
    expect(await limiter.inspect("stranger")).toBeNull();
    expect(await limiter.unban("stranger")).toEqual({ v: 1, wasBanned: false });
    expect(await limiter.report({ v: 1, configVersion: 1, client: "stranger", items: [] })).toEqual({
      v: 1,
      items: [],
    });
    expect(await tables(limiter)).toEqual([]);
  });

  it("is lost with a record that cannot be read: nobody is banned for it, and it is logged", async () => {
    const [limiter, client] = [newObject(), newClient()];
    await limiter.report(reportOf(client, attempts(50)));
    await runInDurableObject(limiter, (_object, { storage }) => {
      storage.sql.exec("UPDATE abuse SET state = '{}'");
    });
    await evictDurableObject(limiter);
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    expect((await limiter.take(takeOf(client))).allowed).toBe(true);
    expect(log.mock.calls).toEqual([
      [`{"level":"error","event":"rate-limiter-record-lost","table":"abuse","client":"${client}"}`],
    ]);
  });
});

it.each([
  {
    message: { items: [{ ...LIMIT, ban: { ...RULE, factor: 1 }, report: attempts(1) }] },
    problem: "items[0].ban.factor: got 1, wanted a number > 1",
  },
  {
    message: { items: [{ ...LIMIT, ban: RULE, report: { ...attempts(1), counts: [{ ageMs: -1, count: 1 }] } }] },
    problem: "items[0].report.counts: got an object, wanted at most 256 of ageMs and count, integers >= 0",
  },
  { message: { client: "" }, problem: "client: got , wanted 1 to 64 characters" },
])("refuses a malformed report: $problem", async ({ message, problem }) => {
  await runInDurableObject(newObject(), (object) => {
    expect(() => object.report({ v: 1, configVersion: 1, client: "c", items: [], ...message })).toThrow(
      new TypeError(`cannot report: ${problem}`),
    );
  });
});
