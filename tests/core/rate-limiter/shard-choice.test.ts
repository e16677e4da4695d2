import { describe, expect, it } from "vitest";
import { atRoot, noteShards, shardFailed, shardFor } from "../../../objects/rate-limiter/shards/shard-choice.ts";

const NOW = 1_790_000_000_000;
const TOLD = { shards: { count: 4, ttlMs: 60_000 } };

describe("an isolate that was told of shards", () => {
  it("asks the one of its name for as long as the word is good", () => {
    const choice = atRoot();
    noteShards(choice, TOLD, NOW);
    const shard = shardFor(choice, "isolate", NOW);
    expect([0, 1, 2, 3]).toContain(shard);
    expect(shardFor(choice, "isolate", NOW + 59_999)).toBe(shard);
    expect(shardFor(choice, "isolate", NOW + 60_000)).toBeUndefined();
  });

  it.each([
    { title: "asks the root once a shard failed", told: [], at: 0, asks: "root" },
    { title: "does not believe those who tell of shards right after that", told: [0, 9_999], at: 9_999, asks: "root" },
    { title: "asks no shard by what it was told before", told: [], at: 10_000, asks: "root" },
    { title: "asks a shard again when it is told so after ten seconds", told: [10_000], at: 10_000, asks: "shard" },
    { title: "waits no longer when its clock steps back", told: [-1], at: -1, asks: "shard" },
  ])("$title", ({ told, at, asks }) => {
    const choice = atRoot();
    noteShards(choice, TOLD, NOW);
    shardFailed(choice, NOW);
    for (const time of told) noteShards(choice, TOLD, NOW + time);
    expect(shardFor(choice, "isolate", NOW + at) === undefined ? "root" : "shard").toBe(asks);
  });
});
