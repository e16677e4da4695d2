import { createLru } from "../../../objects/lru.ts";
import type { CachePolicy } from "../../../schemas/index.ts";
import { createDependency } from "../../dependencies/dependency.ts";
import { currentAge } from "../age.ts";
import { countTier } from "../flow/tally.ts";
import { storedFreshness } from "../freshness.ts";
import type { StoredResponse } from "../stored-response.ts";
import { colo, readRecent } from "./colo.ts";
import { drop, WHOLE_MS, wholeBody } from "./kept-body.ts";
import { kvTier } from "./kv.ts";
import { createPopularity } from "./popularity.ts";
import { r2Tier } from "./r2.ts";
import {
  invalidateIn,
  keepIn,
  searchIn,
  type Keeping,
  type Keyed,
  type KeptResponse,
  type Searched,
} from "./records.ts";
import type { Tier, TierName } from "./tier.ts";

/** Which tiers there are for a route: those that its policy allows and that are bound. */
export interface Shelves {
  readonly env: Env;
  readonly policy: CachePolicy;
}

/** What came of a search. */
export type Found = {
  /** Tiers that failed or took too long; each is as good as empty. */
  readonly failed: readonly TierName[];
  /** An unsafe request has made useless what began before; 0: none is known to have. */
  readonly since: number;
} & (
  | { readonly kind: "found"; readonly kept: KeptResponse }
  /** Other variants of it may be there. */
  | { readonly kind: "vary-miss" }
  | { readonly kind: "uri-miss" }
);

/** Which tiers get a response: the place's own; the one that all places share; both. */
export type Where = "own" | "shared" | "all";

const WRITE_MS = 5_000;
/** KV shows elsewhere within a minute what is written, and takes one write a second: what is over sooner is for one place alone. */
const SHARED_FRESH_MS = 60_000;
/** Asked for so often lately, past the nearest tier, is hot. */
const HOT = 2;
/** What is moved to a nearer tier is there by then. */
const MOVING_MS = 10_000;

/** For answers alone: whoever writes has to know what is there. */
const nearby: Tier = { ...colo, read: readRecent };

const places = createDependency({ kind: "the cache's tier", remembers: 6 });
const popularity = createPopularity();
/** What this isolate is moving to nearer tiers, by address, and since when. */
const moving = createLru<string, number>(1_000);
/** Long bodies are moved one at a time: each is whole in memory meanwhile. */
let liftedAt = -Infinity;

/**
 * What this isolate knows to be invalid, by resource, and since when: a response under way must not come back after the request that made
 * it wrong. What others know they find in the tier.
 */
const invalidated = createLru<string, number>(10_000);

/**
 * Looks for the response to a request, in one tier after the other, each within its deadline. Where none has one that is good, the one that
 * was asked for last. Never rejects.
 */
export async function findResponse(
  keyed: Keyed,
  shelves: Shelves,
  isGood: (kept: KeptResponse) => boolean | Promise<boolean> = () => true,
): Promise<Found> {
  const failed: TierName[] = [];
  let best: KeptResponse | undefined;
  let missed: "uri-miss" | "vary-miss" = "uri-miss";
  let isCounted = false;
  let since = invalidated.get(keyed.resource) ?? 0;
  for (const { tier, deadlineMs } of tiersOf(shelves)) {
    if (tier.name !== "colo" && !isCounted) {
      popularity.count(keyed.key);
      isCounted = true;
    }
    const began = Date.now();
    const from = since;
    let kept: KeptResponse | undefined;
    let search: Promise<Searched> | undefined;
    const begin = () => (search = searchIn(tier.name === "colo" ? nearby : tier, keyed, from));
    try {
      const searched = await places.call(tier.name, begin, { deadlineMs });
      if (searched.isVarying) missed = "vary-miss";
      ({ kept, since } = searched);
    } catch {
      // What comes too late nobody reads.
      search?.then(
        (late) => late.kept && drop(late.kept.body),
        () => {},
      );
      failed.push(tier.name);
      countTier(tier.name, "failures", 0);
      continue;
    }
    const foundMs = Date.now() - began;
    const isLatest = kept !== undefined && (best === undefined || kept.stored.requestedAt > best.stored.requestedAt);
    const other = isLatest ? best : kept;
    if (other !== undefined) drop(other.body);
    if (isLatest) best = kept;
    const isDone = isLatest && kept !== undefined && (await isGood(kept));
    countTier(tier.name, isDone ? "hits" : "misses", foundMs);
    if (isDone) break;
  }
  // The index of variants has a time of its own.
  const told = { failed, since: missed === "vary-miss" ? (invalidated.get(keyed.resource) ?? 0) : since };
  return best === undefined ? { kind: missed, ...told } : { kind: "found", kept: best, ...told };
}

/**
 * Keeps a whole response: in the place's own tier, and in one of those that all places share, which is KV for what is small and hot, or
 * has no R2 beside it, and R2 for all else. A tier that fails keeps nothing. Never rejects.
 */
export async function keepResponse(
  keyed: Keyed,
  shelves: Shelves,
  kept: { readonly stored: StoredResponse; readonly body: Uint8Array },
  { retentionMs, where = "all" }: { readonly retentionMs: number; readonly where?: Where },
): Promise<void> {
  const fits = [...tiersOf(shelves)].filter(({ maxBytes }) => kept.body.byteLength <= maxBytes);
  const named = (name: TierName) => fits.find(({ tier }) => tier.name === name);
  const [kv, r2] = [named("kv"), named("r2")];
  const isForKv = kv !== undefined && (r2 === undefined || popularity.of(keyed.key) >= HOT);
  const shared = isWorthSharing(kept.stored, shelves) ? (isForKv ? kv : r2) : undefined;
  const chosen = [where === "shared" ? undefined : named("colo"), where === "own" ? undefined : shared];
  await keepInAll(chosen, keyed, { ...kept, retentionMs });
}

/**
 * Brings a response nearer that was found in a far tier: from KV to the place's own, from R2 to both once it is asked for again. Off the
 * path; never rejects.
 */
export async function bringNearer(
  keyed: Keyed,
  shelves: Shelves,
  { stored, body, address, tier: from }: KeptResponse,
  retentionMs: number,
): Promise<void> {
  const now = Date.now();
  if (from === "colo" || (from === "r2" && popularity.of(keyed.key) < HOT)) return;
  if (now - (moving.get(address) ?? -Infinity) < MOVING_MS) return;
  const isLong = body.kind === "stream";
  if (isLong && now - liftedAt < WHOLE_MS) return;
  moving.set(address, now);
  if (isLong) liftedAt = now;
  const nearer: Shelf[] = [];
  let source: Tier | undefined;
  for (const shelf of tiersOf(shelves)) {
    if (shelf.tier.name === from) source = shelf.tier;
    else if (source !== undefined || stored.bodyBytes > shelf.maxBytes) continue;
    else if (shelf.tier.name === "colo" || isWorthSharing(stored, shelves)) nearer.push(shelf);
  }
  if (source === undefined || nearer.length === 0) return;
  const again = isLong ? (await searchIn(source, keyed, 0).catch(() => undefined))?.kept : { stored, body };
  if (again === undefined) return;
  const bytes = await wholeBody(again.body).catch(() => undefined);
  if (bytes !== undefined) await keepInAll(nearer, keyed, { stored: again.stored, body: bytes, retentionMs });
}

/** Forgets one response, wherever it is. Never rejects. */
export async function forgetResponse({ address }: KeptResponse, shelves: Shelves): Promise<void> {
  await Promise.all([...tiersOf(shelves)].map(({ tier }) => writing(tier, () => tier.remove(address))));
}

/**
 * Makes every variant of what a request asks for useless, here and for all who share the tiers, and what is under way to become one:
 * whomever it is for. Never rejects.
 */
export async function invalidateResponses(keyed: Keyed, shelves: Shelves, now: number): Promise<void> {
  const since = now + 1;
  invalidated.set(keyed.resource, since);
  await Promise.all([...tiersOf(shelves)].map(({ tier }) => writing(tier, () => endIn(tier, keyed, since))));
}

/** Word is left where it costs no storage: anybody may send a POST to any URL. */
function endIn(tier: Tier, { address, root }: Keyed, since: number): Promise<unknown> {
  return tier.name === "colo" ? invalidateIn(tier, root, since) : tier.remove(address);
}

interface Shelf {
  readonly tier: Tier;
  readonly deadlineMs: number;
  readonly maxBytes: number;
}

/** The tiers of a route, the nearest first. One that is never reached is not even made. */
export function* tiersOf({ env, policy }: Shelves): Generator<Shelf> {
  const { colo: near, kv, r2 } = policy.tiers;
  const { PROXY_CACHE, CACHE_BUCKET } = env;
  if (near !== undefined) yield { tier: colo, ...near };
  if (kv !== undefined && PROXY_CACHE !== undefined) yield { tier: kvTier(PROXY_CACHE), ...kv };
  if (r2 !== undefined && CACHE_BUCKET !== undefined) yield { tier: r2Tier(CACHE_BUCKET), ...r2 };
}

function isWorthSharing(stored: StoredResponse, { policy }: Shelves): boolean {
  return storedFreshness(stored, policy).lifetimeMs - currentAge(stored, Date.now()) >= SHARED_FRESH_MS;
}

async function keepInAll(
  shelves: readonly (Shelf | undefined)[],
  keyed: Keyed,
  keeping: Omit<Keeping, "since">,
): Promise<void> {
  const since = invalidated.get(keyed.resource) ?? 0;
  const tiers = shelves.flatMap((shelf) => (shelf === undefined ? [] : [shelf.tier]));
  await Promise.all(tiers.map((tier) => writing(tier, () => keepIn(tier, keyed, { ...keeping, since }))));
  // What made it useless while it was being written may have been overwritten by it.
  const later = invalidated.get(keyed.resource) ?? 0;
  if (later > since) await Promise.all(tiers.map((tier) => writing(tier, () => endIn(tier, keyed, later))));
}

/** Nobody waits to hear that a tier fails. */
async function writing(tier: Tier, write: () => Promise<unknown>): Promise<void> {
  await places.call(`${tier.name} writes`, write, { deadlineMs: WRITE_MS }).catch(() => {});
}
