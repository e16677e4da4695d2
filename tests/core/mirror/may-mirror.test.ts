import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { begin, countInFlight, finish, noneInFlight } from "../../../worker/balance/in-flight.ts";
import { mayMirror, type MirroredBody, type MirroredRequest } from "../../../worker/mirror/may-mirror.ts";
import type { MirrorSettings } from "../../../schemas/index.ts";
import { DEFAULT_MIRROR } from "../../../schemas/policies/mirror.ts";
import { createRandom } from "../../simulation/random.ts";

const GET: MirroredRequest = { method: "GET", isUpgrade: false, body: { kind: "none" } };
const kept = (bytes: number): MirroredRequest => ({ ...GET, method: "POST", body: { kind: "kept", bytes } });

function decide(request: MirroredRequest, changes: Partial<MirrorSettings> = {}, inFlight = 0, sample = 0): string {
  const decision = mayMirror(request, { ...DEFAULT_MIRROR, ...changes }, inFlight, sample);
  return decision.kind === "mirror" ? "mirror" : decision.why;
}

describe("a copy", () => {
  it.each<[string, string]>([
    ["mirror", decide(GET)],
    ["mirror", decide({ ...GET, method: "DELETE" })],
    ["mirror", decide(kept(0))],
    ["mirror", decide(kept(65_536))],
    ["body-too-long", decide(kept(65_537))],
    ["mirror", decide(kept(65_537), { maxBodyBytes: 100_000 })],
    ["body-not-kept", decide({ ...GET, method: "POST", body: { kind: "streamed" } })],
    ["body-not-kept", decide({ ...GET, body: { kind: "streamed" } })],
    ["upgrade", decide({ ...GET, isUpgrade: true })],
    ["method", decide(kept(1), { methods: ["GET", "HEAD"] })],
    ["mirror", decide(GET, { methods: ["GET", "HEAD"] })],
    ["method", decide(GET, { methods: [] })],
    ["mirror", decide(GET, {}, 15)],
    ["too-many", decide(GET, {}, 16)],
    ["too-many", decide(GET, { maxInFlight: 0 })],
    ["mirror", decide(GET, { share: 0.1 }, 0, 0.099)],
    ["not-sampled", decide(GET, { share: 0.1 }, 0, 0.1)],
    ["not-sampled", decide(GET, { share: 0 })],
    ["mirror", decide(GET, { share: 1 }, 0, 0.999999)],
  ])("is decided: %s", (expected, decision) => {
    expect(decision).toBe(expected);
  });

  it("is made of the share of requests that was asked for", () => {
    const random = createRandom(1);
    let copies = 0;
    for (let request = 0; request < 100_000; request++) {
      if (decide(GET, { share: 0.05 }, 0, random.next()) === "mirror") copies += 1;
    }
    expect(Math.abs(copies / 100_000 - 0.05)).toBeLessThan(0.003);
  });

  it("is the same value each time, so that it costs no memory", () => {
    expect(mayMirror(GET, DEFAULT_MIRROR, 0, 0)).toBe(mayMirror(GET, DEFAULT_MIRROR, 3, 0.5));
    expect(mayMirror(GET, DEFAULT_MIRROR, 99, 0)).toBe(mayMirror(GET, DEFAULT_MIRROR, 98, 0.5));
  });
});

describe("copies on their way", () => {
  const anyBody: fc.Arbitrary<MirroredBody> = fc.oneof(
    fc.constant<MirroredBody>({ kind: "none" }),
    fc.constant<MirroredBody>({ kind: "streamed" }),
    fc.nat(200_000).map((bytes): MirroredBody => ({ kind: "kept", bytes })),
  );

  it("are never more than allowed, hold no more bytes than that, and all places are free again after a dead mirror's time", () => {
    let copied = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyBody, fc.nat(500), fc.boolean()), { maxLength: 100 }),
        fc.integer({ min: 1, max: 8 }),
        (requests, maxInFlight) => {
          const policy = { ...DEFAULT_MIRROR, maxInFlight, timeoutMs: 2_000 };
          const inFlight = noneInFlight();
          const held: { readonly bytes: number; readonly until: number }[] = [];
          let now = 1_000;
          for (const [body, waitMs, isAnswered] of requests) {
            now += waitMs;
            const before = countInFlight(inFlight, now);
            const decision = mayMirror({ method: "POST", isUpgrade: false, body }, policy, before, 0);
            if (decision.kind === "skip") continue;
            copied += 1;
            const call = begin(inFlight, policy.timeoutMs, now);
            if (isAnswered) finish(inFlight, call);
            else held.push({ bytes: body.kind === "kept" ? body.bytes : 0, until: now + policy.timeoutMs });
            const alive = held.filter(({ until }) => until > now);
            expect(alive.length).toBeLessThanOrEqual(maxInFlight);
            const bytes = alive.reduce((sum, one) => sum + one.bytes, 0);
            expect(bytes).toBeLessThanOrEqual(maxInFlight * policy.maxBodyBytes);
          }
          expect(countInFlight(inFlight, now + 3_000)).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
    expect(copied).toBeGreaterThan(500);
  });
});
