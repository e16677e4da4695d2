import { isGroupTag } from "./group-purges.ts";

/** When something was last purged, in ms since the epoch; 0: never. */
export interface Epoch {
  /** What began before is dead. */
  readonly hardAt: number;
  /** What began before is stale, and may still be confirmed or bridge an outage. */
  readonly softAt: number;
}

/** All purges that still matter, as ControlPlane keeps them and isolates lease them. */
export interface PurgeEpochs {
  readonly all: Epoch;
  readonly keys: ReadonlyMap<string, Epoch>;
  readonly routes: ReadonlyMap<string, Epoch>;
  readonly tags: ReadonlyMap<string, Epoch>;
  /** By `METHOD:HOST:PATH`. Each costs every hit a comparison. */
  readonly prefixes: ReadonlyMap<string, Epoch & { readonly of: PurgePrefix }>;
}

/** What a prefix reaches. */
export interface PurgePrefix {
  /** Empty: any. */
  readonly method: string;
  /** Lower case, with its port; empty: any. */
  readonly host: string;
  readonly path: string;
}

/** What is to be forgotten: what an operator asks for, and groups that an origin ends (RFC 9875), which stand among the tags. */
export type PurgeTarget =
  | { readonly kind: "all" }
  | { readonly kind: "key" | "route" | "tag"; readonly value: string }
  | { readonly kind: "groups"; readonly values: readonly string[] }
  | { readonly kind: "prefix"; readonly prefix: PurgePrefix };

/** What a stored response is known by. */
export interface Purgeable {
  /** When the request that brought it, or last confirmed it, began: an answer that was under way at the purge may be from before it. */
  readonly requestedAt: number;
  /** When the one that brought its bytes began: an origin that confirms them doesn't give back what a hard purge has taken. */
  readonly bytesRequestedAt: number;
  readonly key: string;
  readonly route: string;
  readonly tags: readonly string[];
  readonly method: string;
  readonly host: string;
  readonly path: string;
}

/** What purges have left of a stored response. `since`: when it became stale, in ms since the epoch. */
export type PurgeVerdict =
  | { readonly kind: "alive" }
  | { readonly kind: "stale"; readonly since: number }
  | { readonly kind: "dead" };

/** A stored response that no purge has touched. */
export const ALIVE: PurgeVerdict = { kind: "alive" };

const NEVER: Epoch = { hardAt: 0, softAt: 0 };

/** Nothing was ever purged. */
export const NO_PURGES: PurgeEpochs = {
  all: NEVER,
  keys: new Map(),
  routes: new Map(),
  tags: new Map(),
  prefixes: new Map(),
};

/** Nothing is kept for longer: purges from before that are forgotten. */
export const MAX_RETENTION_MS = 30 * 86_400_000;

/** What an isolate can hold and compare with: a thousand prefixes are 4 us a hit. */
const MOST = { names: 10_000, prefixes: 1_000 };

/** Clocks of two machines differ: what began so shortly after a purge is taken to have begun before it, and fetched once more. */
const CLOCK_GUARD_MS = 1_000;

/**
 * What purges have left of a stored response, by comparing when it was fetched. No copy has to be found to be dead: one in any tier, any
 * data centre, of any variant is, as soon as whoever reads it knows the epochs.
 */
export function purgeVerdict(response: Purgeable, epochs: PurgeEpochs): PurgeVerdict {
  let { hardAt, softAt } = epochs.all;
  const take = (epoch: Epoch | undefined) => {
    hardAt = Math.max(hardAt, epoch?.hardAt ?? 0);
    softAt = Math.max(softAt, epoch?.softAt ?? 0);
  };
  take(epochs.keys.get(response.key));
  take(epochs.routes.get(response.route));
  for (const tag of response.tags) take(epochs.tags.get(tag));
  for (const epoch of epochs.prefixes.values()) if (isBelow(response, epoch.of)) take(epoch);
  if (hardAt > 0 && response.bytesRequestedAt - CLOCK_GUARD_MS <= hardAt) return { kind: "dead" };
  return softAt > 0 && response.requestedAt - CLOCK_GUARD_MS <= softAt ? { kind: "stale", since: softAt } : ALIVE;
}

/** Notes a purge. Of one that is repeated the later time counts; a soft one doesn't bring back what a hard one killed. */
export function notePurge(epochs: PurgeEpochs, target: PurgeTarget, isSoft: boolean, now: number): PurgeEpochs {
  const raised = ({ hardAt, softAt }: Epoch = NEVER): Epoch =>
    isSoft ? { hardAt, softAt: Math.max(softAt, now) } : { hardAt: Math.max(hardAt, now), softAt };
  const within = (map: ReadonlyMap<string, Epoch>, value: string) => new Map(map).set(value, raised(map.get(value)));
  switch (target.kind) {
    case "all":
      return { ...epochs, all: raised(epochs.all) };
    case "key":
      return { ...epochs, keys: within(epochs.keys, target.value) };
    case "route":
      return { ...epochs, routes: within(epochs.routes, target.value) };
    case "tag":
      return { ...epochs, tags: within(epochs.tags, target.value) };
    case "groups": {
      const tags = new Map(epochs.tags);
      for (const tag of target.values) tags.set(tag, raised(tags.get(tag)));
      return { ...epochs, tags };
    }
    case "prefix": {
      const { method, host, path } = target.prefix;
      const name = `${method}:${host}:${path}`;
      const epoch = { ...raised(epochs.prefixes.get(name)), of: target.prefix };
      return { ...epochs, prefixes: new Map(epochs.prefixes).set(name, epoch) };
    }
  }
}

/**
 * Forgets purges that no stored response can be older than, and where there are too many the oldest ones: what they killed must not come
 * back, so everything from before the latest that was forgotten dies with it.
 *
 * @param retentionMs how long a response is kept at most.
 */
export function prunePurges(
  epochs: PurgeEpochs,
  now: number,
  retentionMs: number,
  most: { readonly names: number; readonly prefixes: number } = MOST,
): PurgeEpochs {
  const over = now - retentionMs;
  // Groups have a bound of their own.
  const tags = [...epochs.tags].flatMap(([tag, epoch]) => (isGroupTag(tag) ? [] : [epoch]));
  const names = [...epochs.keys.values(), ...epochs.routes.values(), ...tags];
  const surplus = [latestBeyond(names, most.names), latestBeyond([...epochs.prefixes.values()], most.prefixes)];
  const forgotten = Math.max(0, ...surplus.filter((at) => at > over));
  const kept = <E extends Epoch>(map: ReadonlyMap<string, E>) =>
    new Map([...map].filter(([, epoch]) => latest(epoch) > Math.max(forgotten, over)));
  return {
    all: { hardAt: Math.max(epochs.all.hardAt, forgotten), softAt: epochs.all.softAt },
    keys: kept(epochs.keys),
    routes: kept(epochs.routes),
    tags: kept(epochs.tags),
    prefixes: kept(epochs.prefixes),
  };
}

/** When the latest of those was that there is no room for; 0: there is for all. */
function latestBeyond(epochs: readonly Epoch[], most: number): number {
  return epochs.map(latest).sort((a, b) => b - a)[most] ?? 0;
}

function latest({ hardAt, softAt }: Epoch): number {
  return Math.max(hardAt, softAt);
}

/**
 * Reads a `METHOD:HOST:PATH`, of which an empty method or host means any; undefined for what is none. A host may have a port: the path
 * begins at the first ":/".
 */
export function parsePurgePrefix(text: string): PurgePrefix | undefined {
  const [, method, host, path] = /^([A-Z]*):(?:([^/]*?):)?(\/.*)$/.exec(text) ?? [];
  return method === undefined || path === undefined ? undefined : { method, host: (host ?? "").toLowerCase(), path };
}

function isBelow({ method, host, path }: Purgeable, prefix: PurgePrefix): boolean {
  if (!path.startsWith(prefix.path)) return false;
  return (prefix.method === "" || prefix.method === method) && (prefix.host === "" || prefix.host === host);
}
