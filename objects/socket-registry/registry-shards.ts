/** One object takes some hundred reports a second; four take what an isolate's relays can say. */
export const REGISTRY_SHARDS = 4;

/** Which shard of the registry lists a session, by its id. FNV-1a, whose last bits alone would be poor: the upper ones join in. */
export function shardOfSession(id: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < id.length; index += 1) {
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  }
  return ((hash ^ (hash >>> 16)) >>> 0) % REGISTRY_SHARDS;
}
