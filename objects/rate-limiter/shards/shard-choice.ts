import type { OwnerNotices } from "../messages.ts";

/** Which of a client's owners an isolate asks, and until when. Changed in place. */
export interface ShardChoice {
  /** 0: the root. */
  count: number;
  until: number;
  /** A shard failed: until then the root is asked, whatever anybody tells. */
  pausedUntil: number;
}

/** How the message of an error begins by which a shard says that not it, but its root does not answer. */
export const ROOT_SILENT = "shard-root-silent";

/**
 * How long an isolate stays with the root after a call to a shard failed. Each try of a shard that is dead costs a request
 * its deadline; a hot root can do with some isolates more for a while.
 */
const FAILURE_PAUSE_MS = 10_000;

/** An isolate that was told nothing asks the root. */
export function atRoot(): ShardChoice {
  return { count: 0, until: -Infinity, pausedUntil: -Infinity };
}

/** Takes in what a reply says of shards. One that says nothing changes nothing: the word of an earlier one runs out. */
export function noteShards(choice: ShardChoice, { shards }: OwnerNotices, now: number): void {
  if (shards === undefined || isPaused(choice, now)) return;
  choice.count = shards.count;
  choice.until = now + shards.ttlMs;
}

/** Goes back to the root because a call to a shard failed. What the shard has lent ends by itself. */
export function shardFailed(choice: ShardChoice, now: number): void {
  choice.count = 0;
  choice.pausedUntil = now + FAILURE_PAUSE_MS;
}

/** Whether an error is a shard's word that its root is silent, and so no fault of its own. */
export function isRootSilent(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith(ROOT_SILENT);
}

/** The shard that an isolate asks now; undefined: the root. */
export function shardFor({ count, until }: ShardChoice, isolate: string, now: number): number | undefined {
  return now < until && count >= 2 ? hash(isolate) % count : undefined;
}

/** A clock that stepped back ends a pause. */
function isPaused({ pausedUntil }: ShardChoice, now: number): boolean {
  return now < pausedUntil && pausedUntil - now <= FAILURE_PAUSE_MS;
}

/** FNV-1a, 32 bits: every isolate has a random name, so its spread is all that matters. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
