import { describe, expect, it } from "vitest";
import type { LeaseMessage } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import { atRoot, noteShards, shardFor } from "../../../objects/rate-limiter/shards/shard-choice.ts";
import { countCalls, newLoad, shardNotice, type CallLoad } from "../../../objects/rate-limiter/shards/shard-count.ts";
import { START } from "./arbitraries.ts";
import { leaseMessage } from "./lease-arbitraries.ts";

const tenPerSecond = { tokensPerWindow: 10, windowMs: 1_000, burst: 10 };
const ask = leaseMessage(tenPerSecond, {});
const fromShard = (count: number, calls: number): LeaseMessage => ({ ...ask, shard: { count, calls } });

/** A client whose shards (or isolates, while there are none) report so many calls a second, for so many seconds. */
function busy(load: CallLoad, from: number, callsPerSecond: number, seconds: number): CallLoad {
  let next = load;
  for (let second = 0; second < seconds; second++) {
    next = countCalls(next, fromShard(next.count, callsPerSecond), from + second * 1_000);
  }
  return next;
}

describe("a client", () => {
  it("has no shards at 300 calls a second, however long that goes on", () => {
    const load = busy(newLoad(START), START, 300, 100);
    expect(load.count).toBe(0);
    expect(shardNotice(load)).toBeUndefined();
  });

  it("has two after 5 s of more, told in each reply for a minute, and twice as many after each further 5 s, up to 32", () => {
    const counts = [5, 6, 11, 16, 21, 26, 31, 100].map((seconds) => busy(newLoad(START), START, 20_000, seconds).count);
    expect(counts).toEqual([0, 2, 4, 8, 16, 32, 32, 32]);
    expect(shardNotice(busy(newLoad(START), START, 301, 6))).toEqual({ count: 2, ttlMs: 60_000 });
  });

  it("has half as many after a minute of less than 50 a second at each, and none instead of one", () => {
    const hot = busy(newLoad(START), START, 1_300, 11);
    expect(hot.count).toBe(4);
    const counts = [60, 66, 126].map((seconds) => busy(hot, START + 11_000, 90, seconds).count);
    expect(counts).toEqual([4, 2, 0]);
    expect(busy(hot, START + 11_000, 200, 200).count).toBe(4);
  });

  it("keeps its shards when the owner starts anew and hears of them", () => {
    const restarted = countCalls(newLoad(START), fromShard(8, 100), START + 10);
    expect(shardNotice(restarted)).toEqual({ count: 8, ttlMs: 60_000 });
  });

  it("keeps what its owner knows better than a shard that has not heard it", () => {
    const merged = { ...busy(newLoad(START), START, 10, 6) };
    expect(countCalls(merged, fromShard(8, 1), START + 6_000).count).toBe(0);
  });

  it("is counted for each message of an isolate", () => {
    expect(countCalls(countCalls(newLoad(START), ask, START), ask, START).calls).toBe(2);
  });
});

describe("an isolate", () => {
  it("asks the owner until it is told of shards, then one of them until the word is no longer good", () => {
    const choice = atRoot();
    const at = (now: number) => shardFor(choice, "6f1c", now);
    expect(at(START)).toBeUndefined();
    noteShards(choice, { shards: { count: 4, ttlMs: 60_000 } }, START);
    const shard = at(START);
    expect([0, 1, 2, 3]).toContain(shard);
    noteShards(choice, {}, START + 59_000);
    expect([at(START + 59_999), at(START + 60_000)]).toEqual([shard, undefined]);
  });

  it("shares each shard with about as many others, and stays or moves on by one doubling", () => {
    const shardsOf = (count: number) =>
      Array.from(
        { length: 3_200 },
        (_, index) => shardFor({ ...atRoot(), count, until: Infinity }, `isolate ${index}`, START) ?? -1,
      );
    const of32 = shardsOf(32);
    const sizes = Array.from({ length: 32 }, (_, shard) => of32.filter((one) => one === shard).length);
    expect(Math.min(...sizes)).toBeGreaterThan(50);
    expect(Math.max(...sizes)).toBeLessThan(200);
    expect(shardsOf(16)).toEqual(of32.map((shard) => shard % 16));
  });
});
