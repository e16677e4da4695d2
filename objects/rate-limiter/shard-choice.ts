import type { OwnerNotices } from "./messages.ts";

/** Which of a client's owners an isolate asks, and until when. Changed in place. */
export interface ShardChoice {
  /** 0: the root. */
  count: number;
  until: number;
}

/** An isolate that was told nothing asks the root. */
export function atRoot(): ShardChoice {
  return { count: 0, until: -Infinity };
}

/** Takes in what a reply says of shards. One that says nothing changes nothing: the word of an earlier one runs out. */
export function noteShards(choice: ShardChoice, { shards }: OwnerNotices, now: number): void {
  if (shards === undefined) return;
  choice.count = shards.count;
  choice.until = now + shards.ttlMs;
}

/** The shard that an isolate asks now; undefined: the root. */
export function shardFor({ count, until }: ShardChoice, isolate: string, now: number): number | undefined {
  return now < until && count >= 2 ? hash(isolate) % count : undefined;
}

/** FNV-1a, 32 bits: every isolate has a random name, so its spread is all that matters. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
