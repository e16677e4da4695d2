import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BanFleet, THRESHOLD } from "../support/ban-fleet.ts";
import { Origin } from "../support/origin/origin.ts";

const ISOLATES = 4;
const REASON = "default: 100 attempts or more within 60000 ms";
const HOUR_MS = 3_600_000;

const state = mkdtempSync(join(tmpdir(), "sluice-state-"));
let origin: Origin;
let fleet: BanFleet;

beforeAll(async () => {
  origin = await Origin.start();
  fleet = await BanFleet.start(origin.url, { isolates: ISOLATES, state });
});

afterAll(async () => {
  await fleet.gateway.stop();
  await origin.stop();
  rmSync(state, { recursive: true, force: true });
});

/** What each isolate answers the client now. */
async function everywhere(client: string): Promise<readonly string[]> {
  const answers = await Promise.all(Array.from({ length: ISOLATES }, (_, isolate) => fleet.ask(client, isolate)));
  return answers.map(({ code, status }) => code ?? String(status));
}

const BANNED = Array.from({ length: ISOLATES }, () => "abnormal-usage-detected");

describe("a fleet of isolates", () => {
  it("shuts a client out that attempts five times its limit over all of them, and nobody else", async () => {
    const began = performance.now();
    const patient = await fleet.send("patient", THRESHOLD - 10);
    // One comes back every three seconds.
    const most = 20 + Math.floor((performance.now() - began) / 3_000);
    const { 200: passed = 0 } = patient;
    expect(passed).toBeGreaterThanOrEqual(20);
    expect(passed).toBeLessThanOrEqual(most);
    expect(patient).toEqual({ 200: passed, "quota-exceeded": THRESHOLD - 10 - passed });
    await fleet.send("abuser", THRESHOLD);
    await expect.poll(() => everywhere("abuser"), { timeout: 20_000 }).toEqual(BANNED);
    const refusal = await fleet.ask("abuser");
    expect([refusal.status, refusal.body["type"]]).toEqual([
      429,
      "https://iana.org/assignments/http-problem-types#abnormal-usage-detected",
    ]);
    expect(Number(refusal.headers.get("retry-after"))).toBeGreaterThan(86_300);
    expect(await everywhere("patient")).not.toContain("abnormal-usage-detected");
  });

  it("lists bans with their reason, and ends one by an operator's order", async () => {
    const id = await fleet.idOf("loud");
    await fleet.send("loud", THRESHOLD);
    await expect
      .poll(async () => (await fleet.admin("GET", `/bans?filter=${id}`)).body["bans"], { timeout: 20_000 })
      .toMatchObject([{ client: id, reason: REASON }]);
    expect((await fleet.admin("GET", `/clients/${id}`)).body).toMatchObject({ client: id, ban: { reason: REASON } });
    await expect.poll(() => everywhere("loud"), { timeout: 20_000 }).toEqual(BANNED);
    expect((await fleet.admin("POST", `/clients/${id}/unban`)).body).toEqual({ client: id, wasBanned: true });
    await expect.poll(() => everywhere("loud"), { timeout: 20_000 }).not.toContain("abnormal-usage-detected");
    await expect
      .poll(async () => (await fleet.admin("GET", `/bans?filter=${id}`)).body["bans"], { timeout: 20_000 })
      .toEqual([]);
  });

  it("keeps a ban through kill -9, by whoever it was made", async () => {
    const id = await fleet.idOf("steady");
    const ban = await fleet.admin("POST", `/clients/${id}/ban`, { duration: "1h", reason: "scraping" });
    expect(ban.body).toMatchObject({ client: id, ban: { reason: "scraping" } });
    await fleet.gateway.kill();
    fleet = await fleet.again({ isolates: ISOLATES, state });
    expect(await everywhere("steady")).toEqual(BANNED);
    expect(await everywhere("abuser")).toEqual(BANNED);
    await expect
      .poll(async () => (await fleet.admin("GET", "/bans?filter=SCRAPING")).body, { timeout: 20_000 })
      .toMatchObject({ bans: [{ client: id, reason: "scraping" }], next: null, more: 0 });
  });
});

describe("an operator", () => {
  it("fills a client's limits and adds to one, up to what it holds", async () => {
    const id = await fleet.idOf("customer");
    await fleet.send("customer", 40);
    const granted = await fleet.admin("POST", `/clients/${id}/grant`, { policy: "default", tokens: 1_000 });
    expect(granted.status).toBe(200);
    expect(Number(granted.body["remaining"])).toBeLessThanOrEqual(20);
    expect((await fleet.admin("POST", `/clients/${id}/grant`, { policy: "minute", tokens: 1 })).body).toMatchObject({
      detail: 'This client has used nothing of "minute", so there is nothing to add to. It has used: default.',
    });
    expect((await fleet.admin("POST", `/clients/${id}/reset`)).body).toEqual({ client: id, wasRemembered: true });
    await expect.poll(async () => (await fleet.ask("customer")).status, { timeout: 20_000 }).toBe(200);
  });

  it("bans for as long as told, from now, whatever ban there was", async () => {
    const id = await fleet.idOf("twice");
    const path = `/clients/${id}/ban`;
    await fleet.admin("POST", path, { duration: "24h", reason: "first" });
    const { body } = await fleet.admin("POST", path, { duration: "1h", reason: "second" });
    expect(body).toMatchObject({ ban: { remainingMs: HOUR_MS, reason: "second" } });
  });

  it("reads the bans page by page", async () => {
    for (const client of ["one", "two", "three"]) {
      await fleet.admin("POST", `/clients/${await fleet.idOf(client)}/ban`, { duration: "1h", reason: "page by page" });
    }
    const path = "/bans?filter=page%20by&limit=2";
    await expect.poll(async () => (await fleet.admin("GET", path)).body["next"], { timeout: 20_000 }).not.toBeNull();
    const first = (await fleet.admin("GET", path)).body;
    expect(first["bans"]).toHaveLength(2);
    await expect
      .poll(async () => (await fleet.admin("GET", `${path}&cursor=${String(first["next"])}`)).body, { timeout: 20_000 })
      .toMatchObject({ bans: [{ reason: "page by page" }], next: null });
  });

  const ID = "AAAAAAAAAAAAAAAAAAAAAAAA";
  it.each([
    { path: `/clients/${ID}/ban`, body: "", status: 400, detail: "the body: got nothing, wanted a JSON object." },
    {
      path: `/clients/${ID}/ban`,
      body: { duration: "1h", why: "?" },
      status: 400,
      detail:
        'reason: got nothing, wanted a value: the field is required; why: got the key "why", wanted a known key, one of: duration, reason.',
    },
    {
      path: `/clients/${ID}/ban`,
      body: { duration: 3, reason: "x" },
      status: 400,
      detail: 'duration: got 3, wanted a duration such as "500ms", "30s", "5m", "1h" or "1d", from 1s to 366d.',
    },
    {
      path: `/clients/${ID}/grant`,
      body: { policy: "p", tokens: 0 },
      status: 400,
      detail: "tokens: got 0, wanted a whole number from 1 to 1000000000000.",
    },
    { path: `/clients/${ID}/ban`, body: "x".repeat(20_000), status: 413, detail: "The body is more than 16384 bytes." },
    {
      path: `/clients/${ID}/grant`,
      body: { policy: "default", tokens: 1 },
      status: 404,
      detail: 'This client has used nothing of "default", so there is nothing to add to.',
    },
    {
      path: "/clients/nobody/unban",
      status: 404,
      detail: "This is no client id; take it from the pk of a RateLimit header.",
    },
  ])("is told what is wrong: $detail", async ({ path, body, status, detail }) => {
    expect(await fleet.admin("POST", path, body)).toMatchObject({ status, body: { detail } });
  });

  it.each([
    { query: "limit=0", detail: 'limit: got "0", wanted a whole number from 1 to 1000.' },
    { query: "cursor=x", detail: 'cursor: got "x", wanted the next of the page before.' },
    {
      query: "cursor=9999999999999999.A",
      detail: 'cursor: got "9999999999999999.A", wanted the next of the page before.',
    },
  ])("is told what is wrong with $query", async ({ query, detail }) => {
    expect(await fleet.admin("GET", `/bans?${query}`)).toMatchObject({ status: 400, body: { detail } });
  });

  it("is told which method an order wants", async () => {
    const answer = await fleet.admin("GET", `/clients/${ID}/ban`);
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST"]);
  });
});
