import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newPool, type Pool, type Release } from "../../../objects/connection-pool/pool.ts";
import { ask, giveBack, letThrough, newSlots, SIX, type Ticket } from "../../../objects/connection-pool/slots.ts";

const FAR = Infinity;

beforeEach(() => vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => vi.useRealTimers());

interface Asked {
  readonly upstream: string;
  got: Release | "timed-out" | undefined;
}

/** Asks for so many, and lets all that is due happen. */
async function askFor(pool: Pool, upstream: string, count: number, until = FAR): Promise<readonly Asked[]> {
  const all = Array.from({ length: count }, (): Asked => ({ upstream, got: undefined }));
  for (const asked of all) void pool.acquire(upstream, until).then((got) => (asked.got = got));
  await vi.advanceTimersByTimeAsync(0);
  return all;
}

function through(asked: readonly Asked[]): number {
  return asked.filter(({ got }) => typeof got === "function").length;
}

/** Gives back what the first so many have. */
async function release(asked: readonly Asked[], count: number): Promise<void> {
  let left = count;
  for (const one of asked) {
    if (left === 0 || typeof one.got !== "function") continue;
    one.got();
    left -= 1;
  }
  await vi.advanceTimersByTimeAsync(0);
}

describe("a pool", () => {
  it("lets one upstream wait for five heads, and keeps the sixth slot for another", async () => {
    const pool = newPool();
    const first = await askFor(pool, "a", 8);
    const other = await askFor(pool, "b", 2);
    expect([through(first), through(other)]).toEqual([5, 1]);
  });

  it("lets the others of an upstream through in their order as slots come back", async () => {
    const pool = newPool();
    const asked = await askFor(pool, "a", 7);
    await release(asked, 1);
    expect(asked.map(({ got }) => typeof got)).toEqual([
      "function",
      "function",
      "function",
      "function",
      "function",
      "function",
      "undefined",
    ]);
  });

  it("serves all others past an upstream that is silent", async () => {
    const pool = newPool();
    const silent = await askFor(pool, "silent", 20);
    const served: string[] = [];
    const rest = Array.from({ length: 10 }, (_, index) => `other ${index % 3}`).map(async (upstream) => {
      const got = await pool.acquire(upstream, FAR);
      await vi.advanceTimersByTimeAsync(100);
      served.push(upstream);
      if (got !== "timed-out") got();
    });
    await Promise.all(rest);
    expect({ silent: through(silent), served: served.length }).toEqual({ silent: 5, served: 10 });
  });

  it("gives slots that come back to the upstream that has the fewest, and keeps one", async () => {
    const pool = newPool();
    const first = await askFor(pool, "a", 10);
    const other = await askFor(pool, "b", 10);
    await release(first, 4);
    expect([through(first) - 4, through(other)]).toEqual([3, 2]);
  });

  it("gives up after 30 s, or when its caller's time is over, and counts that", async () => {
    const pool = newPool();
    await askFor(pool, "a", 5);
    const patient = await askFor(pool, "a", 1);
    const hasty = await askFor(pool, "a", 1, Date.now() + 1_000);
    await vi.advanceTimersByTimeAsync(1_000);
    expect([patient[0]?.got, hasty[0]?.got]).toEqual([undefined, "timed-out"]);
    await vi.advanceTimersByTimeAsync(29_000);
    expect(patient[0]?.got).toBe("timed-out");
    expect(pool.tallies().get("a")).toEqual({
      active: 5,
      queued: 0,
      admitted: 5,
      waited: 2,
      waitedMs: 31_000,
      timedOut: 2,
    });
  });

  it("takes a slot back once, however often it is given", async () => {
    const pool = newPool();
    const asked = await askFor(pool, "a", 6);
    await release(asked.slice(0, 1), 1);
    await release(asked.slice(0, 1), 1);
    expect(pool.tallies().get("a")).toEqual({
      active: 5,
      queued: 0,
      admitted: 6,
      waited: 1,
      waitedMs: 0,
      timedOut: 0,
    });
  });

  it("remembers a bounded number of upstreams", async () => {
    const pool = newPool();
    for (let index = 0; index < 1_000; index += 1) {
      const [asked] = await askFor(pool, `upstream ${index}`, 1);
      if (typeof asked?.got === "function") asked.got();
    }
    expect(pool.tallies().size).toBe(256);
  });
});

describe("whatever comes and goes", () => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant("ask" as const), upstream: fc.constantFrom("a", "b", "c") }),
    fc.record({ kind: fc.constantFrom("done" as const, "timed-out" as const), which: fc.nat({ max: 40 }) }),
  );

  it("holds at most six slots, at most five for one, keeps nobody who may go, and counts right", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const slots = newSlots(SIX);
        const tickets: Ticket[] = [];
        const counted = { waited: 0, timedOut: 0, admitted: 0 };
        for (const [now, one] of events.entries()) {
          if (one.kind === "ask") {
            const ticket = ask(slots, one.upstream, now);
            if (ticket.state === "held") counted.admitted += 1;
            else counted.waited += 1;
            tickets.push(ticket);
          } else {
            const ticket = tickets[one.which % Math.max(1, tickets.length)];
            if (ticket === undefined) continue;
            if (ticket.state === "waiting" && one.kind === "timed-out") counted.timedOut += 1;
            giveBack(slots, ticket, one.kind, now);
          }
          while (letThrough(slots, now) !== undefined) counted.admitted += 1;
          const held = tickets.filter(({ state }) => state === "held");
          const waiting = tickets.filter(({ state }) => state === "waiting");
          expect(held.length).toBeLessThanOrEqual(6);
          for (const upstream of ["a", "b", "c"]) {
            const own = held.filter((ticket) => ticket.upstream === upstream).length;
            expect(own).toBeLessThanOrEqual(5);
            // Nobody waits while there is a slot that he may have.
            if (waiting.some((ticket) => ticket.upstream === upstream)) {
              expect(held.length >= (own === 0 ? 6 : 5)).toBe(true);
            }
          }
          const tallies = [...slots.lines.values()].map(({ tally }) => tally);
          const sum = (name: "active" | "queued" | "waited" | "timedOut" | "admitted") =>
            tallies.reduce((all, tally) => all + tally[name], 0);
          expect([sum("active"), sum("queued")]).toEqual([held.length, waiting.length]);
          expect([sum("waited"), sum("timedOut"), sum("admitted")]).toEqual([
            counted.waited,
            counted.timedOut,
            counted.admitted,
          ]);
        }
      }),
    );
  });
});
