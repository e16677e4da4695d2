import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FLIGHT_RULES } from "../../../objects/dedup/flight-rules.ts";
import type { HeadFacts } from "../../../objects/dedup/sharing.ts";
import { fly, type Asked, type Client, type OriginReply, type Seen, type World } from "./flight-world.ts";

const RUNS = 3_000;
const FIELDS = ["a", "b"] as const;
const END = 30_000;

const time = fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: END }));
const values = fc.record({ a: fc.constantFrom("1", "2", "3"), b: fc.constantFrom("1", "2") });
const client: fc.Arbitrary<Client> = fc
  .record({ at: time, fields: values, hasStale: fc.boolean(), stays: fc.option(fc.integer({ min: 0, max: 9_000 })) })
  .map(({ at, fields, hasStale, stays }) => ({
    at,
    fields,
    hasStale,
    leavesAt: stays === null ? undefined : at + stays,
  }));
const shareable = fc.record({
  ttlMs: fc.constantFrom(50, 3_000, 60_000),
  status: fc.constantFrom(200, 404),
});
const personal: fc.Arbitrary<Partial<HeadFacts>> = fc.constantFrom<Partial<HeadFacts>>(
  { isPrivate: true },
  { hasSetCookie: true },
  { isNoStore: true },
  { isNoCache: true },
  { status: 401 },
  { status: 206 },
  { vary: "*" },
  { isStorable: false, ttlMs: 0 },
);
const broken = fc.constantFrom<OriginReply["head"]>(
  "unreachable",
  "reset",
  { status: 500, isStorable: false, ttlMs: 0 },
  { status: 500 },
);
const timing = {
  afterMs: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 900 }) },
    { weight: 2, arbitrary: fc.constantFrom(4_999, 5_000, 8_000, Infinity) },
  ),
  bodyMs: fc.constantFrom(0, 500, 6_000),
  bytes: fc.constantFrom(0, 1_000, 9 << 20),
  isCut: fc.boolean(),
};

/** What an origin answers that is asked for the first, the second time and so on, for ever again. */
function replies(head: fc.Arbitrary<OriginReply["head"]>): fc.Arbitrary<readonly OriginReply[]> {
  return fc.array(fc.record({ ...timing, head }), { minLength: 1, maxLength: 6 });
}

/** A world whose key varies by the same fields always, as that of an origin in its right mind does. */
function worlds(head: fc.Arbitrary<OriginReply["head"]>): fc.Arbitrary<World & { vary: readonly string[] }> {
  const rules = fc.record({
    windowMs: fc.constantFrom(0, 5_000),
    coalesce: fc.constantFrom("fresh" as const, "arrived-before-headers" as const),
    maxWaiters: fc.constantFrom(3, 2_000),
    maxFlights: fc.constantFrom(2, 32),
  });
  return fc
    .record({
      rules,
      clients: fc.array(client, { maxLength: 25 }),
      purgesAt: fc.array(time, { maxLength: 2 }),
      vary: fc.subarray([...FIELDS]),
      list: replies(head),
    })
    .map((scene) => Object.assign(scene, { origin: (_fields: unknown, nth: number) => replyOf(scene, nth) }));
}

function replyOf({ list, vary }: { list: readonly OriginReply[]; vary: readonly string[] }, nth: number): OriginReply {
  const reply = list[(nth - 1) % list.length] ?? { afterMs: 0, head: {} };
  return typeof reply.head === "string" ? reply : { ...reply, head: { vary, ...reply.head } };
}

const orderly = fc.oneof<fc.Arbitrary<OriginReply["head"]>[]>(shareable, shareable, personal, broken);
/** An origin that can't make up its mind what its responses vary by. */
const fickle = fc.record({ ttlMs: fc.constantFrom(50, 60_000), vary: fc.subarray([...FIELDS]) });
const anything = fc.oneof<fc.Arbitrary<OriginReply["head"]>[]>(orderly, orderly, fickle);

function shared(seen: Seen): readonly Asked[] {
  return seen.asked.filter(({ isShared }) => isShared);
}

/** Whether one request is of the same variant as another, by the fields that the origin goes by. */
function isSame(one: Asked, other: Asked, vary: readonly string[]): boolean {
  return vary.every((name) => one.fields[name] === other.fields[name]);
}

describe("in a world where everything happens", () => {
  it("nobody waits for ever, nor is answered twice, and nothing is left in the air", () => {
    fc.assert(
      fc.property(worlds(anything), (world) => {
        const seen = fly(world);
        const { headersMs, followerWaitMs } = FLIGHT_RULES;
        // Sent on once, and then a leader whose connection is refused at the last moment.
        const most = 2 * (followerWaitMs + headersMs);
        world.clients.forEach(({ at, leavesAt }, id) => {
          const outcome = seen.outcomes.get(id);
          if (leavesAt === undefined) expect(outcome).toBeDefined();
          if (outcome !== undefined) expect(outcome.at - at).toBeLessThanOrEqual(most);
        });
        expect(seen.state.flights).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  it("nobody gets what was made for another and is not for all", () => {
    fc.assert(
      fc.property(worlds(anything), (world) => {
        const seen = fly(world);
        for (const [id, { kind, request, at }] of seen.outcomes) {
          if (kind === "stale" || kind === "refused") continue;
          const asked = seen.asked.find((one) => one.id === request);
          if (asked === undefined) throw new Error("a response that nobody asked for");
          if (asked.client === id) continue;
          const { head } = asked;
          if (kind !== "follower" || head === undefined) throw new Error("a response of another's");
          expect([head.isPrivate, head.hasSetCookie, head.isNoStore, head.isNoCache, head.vary === "*"]).not.toContain(
            true,
          );
          expect([200, 404]).toContain(head.status);
          for (const name of head.vary) expect(world.clients[id]?.fields?.[name]).toBe(asked.fields[name]);
          const cameAt = world.clients[id]?.at ?? NaN;
          if (cameAt <= asked.decidedAt) continue;
          expect(at).toBeLessThan(asked.decidedAt + head.ttlMs);
          expect(head.isStorable).toBe(true);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it("nobody who comes after a purge gets what was asked for before it, and none of that is kept", () => {
    fc.assert(
      fc.property(worlds(anything), (world) => {
        const seen = fly(world);
        for (const purge of world.purgesAt ?? []) {
          for (const [id, { request }] of seen.outcomes) {
            const asked = seen.asked.find((one) => one.id === request);
            const cameAt = world.clients[id]?.at ?? NaN;
            if (asked !== undefined && cameAt > purge) expect(asked.at).toBeGreaterThanOrEqual(purge);
          }
          for (const { at, effect } of seen.effects) {
            if (effect.kind !== "store" || at <= purge) continue;
            expect(seen.asked.find(({ id }) => id === effect.request)?.at).toBeGreaterThanOrEqual(purge);
          }
        }
      }),
      { numRuns: RUNS },
    );
  });

  it("nothing is kept that may not be, or that did not come to its end", () => {
    fc.assert(
      fc.property(worlds(anything), (world) => {
        const seen = fly(world);
        expect(new Set(seen.stored).size).toBe(seen.stored.length);
        for (const id of seen.stored) {
          const asked = seen.asked.find((one) => one.id === id);
          const { isStorable, isPrivate, isNoStore, hasSetCookie } = asked?.head ?? {};
          expect([isStorable, isPrivate, isNoStore, hasSetCookie]).toEqual([true, false, false, false]);
          expect(asked?.head?.vary).not.toBe("*");
          expect([200, 401, 404, 500]).toContain(asked?.head?.status);
          expect(asked?.reply.isCut).toBe(false);
          expect(asked?.reply.bytes).toBeLessThanOrEqual(FLIGHT_RULES.maxRetainedBytes);
        }
      }),
      { numRuns: RUNS },
    );
  });

  it("the origin is asked a second time for a variant only where the first takes long, failed, or was purged", () => {
    fc.assert(
      fc.property(worlds(orderly), (world) => {
        const seen = fly(world);
        const all = shared(seen);
        for (const one of all) {
          // Those under way when it was made, of a variant that could be told to be the same, and not from before a purge.
          const beside = all.filter(
            (other) =>
              other.id < one.id &&
              other.decidedAt > one.at &&
              isSame(other, one, world.vary) &&
              !(world.purgesAt ?? []).some((purge) => purge >= other.at && purge <= one.at),
          );
          expect(beside.length).toBeLessThanOrEqual(1);
          for (const other of beside) expect(one.at - other.at).toBeGreaterThanOrEqual(FLIGHT_RULES.lockAgeMs);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe("where everything can be shared and comes at once", () => {
  const whole = fc.record({ afterMs: fc.integer({ min: 1, max: 4_999 }), head: fc.constant({ ttlMs: 60_000 }) });

  it("the origin is asked exactly once for each variant that somebody waits for", () => {
    const crowd = fc.array(fc.record({ at: fc.constant(0), fields: values }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(crowd, whole, fc.subarray([...FIELDS]), (clients, reply, vary) => {
        const seen = fly({ clients, origin: () => ({ ...reply, head: { ...reply.head, vary } }) });
        const variants = new Set(clients.map(({ fields }) => JSON.stringify(vary.map((name) => fields[name]))));
        expect(seen.asked).toHaveLength(variants.size);
        expect(seen.outcomes.size).toBe(clients.length);
      }),
      { numRuns: RUNS },
    );
  });
});
