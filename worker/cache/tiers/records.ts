import { MAX_RETENTION_MS } from "../../../objects/control-plane/purge.ts";
import { variantOf } from "../../../objects/dedup/variant.ts";
import { effectiveVary } from "../effective-vary.ts";
import { readerOf } from "../fields.ts";
import type { KeyedRequest } from "../flow/keyed-request.ts";
import type { StoredResponse } from "../stored-response.ts";
import type { CacheIndex, CacheRecord } from "./envelope.ts";
import { drop, type KeptBody } from "./kept-body.ts";
import type { Tier, TierName } from "./tier.ts";

/** What a tier is asked by. */
export type Keyed = Pick<KeyedRequest, "key" | "resource" | "address" | "root" | "addressOf" | "sent">;

/** A response that is kept. Whoever doesn't want its body has to `drop` it. */
export interface KeptResponse {
  readonly stored: StoredResponse;
  readonly body: KeptBody;
  /** Where it is, and in which tier. */
  readonly address: string;
  readonly tier: TierName;
}

/** What one tier has for a request. */
export interface Searched {
  readonly kept: KeptResponse | undefined;
  /** Other variants of it may be there. */
  readonly isVarying: boolean;
  /** What began before is dead, in the tiers behind this one too. */
  readonly since: number;
}

/** A response that varies by more is not kept: each field multiplies the entries. */
const MAX_VARY = 16;
/** So many variants an index can name: it is read with each of them. */
const MAX_NAMED = 16;
/** What says that it was asked for later than that was asked by a clock that is wrong, and would outlive every purge. */
const CLOCK_AHEAD_MS = 5_000;
const NOTHING = new Uint8Array();

/** Looks for the response to a request in one tier. `since`: what began before is dead. Rejects when the tier fails. */
export async function searchIn(tier: Tier, keyed: Keyed, known: number): Promise<Searched> {
  const { address } = keyed;
  const since = Math.max(known, await wordAt(tier, keyed));
  const first = await tier.read(address);
  if (first === undefined) return { kept: undefined, isVarying: false, since };
  const { record, body } = first;
  if (record.kind === "response") {
    const kept = usable({ stored: record.stored, body, address, tier: tier.name }, since);
    return { kept, isVarying: false, since };
  }
  if (isAhead(record)) return { kept: undefined, isVarying: false, since };
  const later = Math.max(since, record.since);
  if (record.vary.length === 0) return { kept: undefined, isVarying: false, since: later };
  const variant = variantOf(record.vary, keyed.sent);
  const place = await keyed.addressOf(variant);
  const second = await tier.read(place);
  const found = second?.record.kind === "response" && second.record.variant === variant ? second.record : undefined;
  if (second === undefined || found === undefined) {
    if (second !== undefined) drop(second.body);
    return { kept: undefined, isVarying: true, since: later };
  }
  const kept = usable({ stored: found.stored, body: second.body, address: place, tier: tier.name }, later);
  return { kept, isVarying: true, since: later };
}

/**
 * Keeps a response in one tier, unless it has been made invalid since it was asked for. Beside others that vary it is kept as one that
 * varies by the same, also where it doesn't say so. Rejects when the tier fails.
 */
export async function keepIn(
  tier: Tier,
  keyed: Keyed,
  { stored, body, since, retentionMs: worthMs }: Keeping,
): Promise<void> {
  // Counted from its bytes, however often they are confirmed: an older purge than that is forgotten.
  const retentionMs = Math.min(worthMs, stored.bytesRequestedAt + MAX_RETENTION_MS - Date.now());
  const vary = effectiveVary(readerOf(stored.fields));
  if (vary === "*" || retentionMs <= 0) return;
  const first = await recordAt(tier, keyed.address);
  const before = first?.kind === "index" ? first : undefined;
  if (stored.requestedAt < Math.max(before?.since ?? 0, since, await wordAt(tier, keyed))) return;
  const names = [...new Set([...(before?.vary ?? []), ...vary])].sort();
  if (names.length > MAX_VARY) return;
  if (names.length === 0) {
    if (isNewer(first, stored)) return;
    await tier.write(keyed.address, { kind: "response", variant: "", stored }, body, retentionMs);
    return;
  }
  const variant = variantOf(names, keyed.sent);
  const address = await keyed.addressOf(variant);
  if (isNewer(await recordAt(tier, address), stored)) return;
  await tier.write(address, { kind: "response", variant, stored }, body, retentionMs);
  const isSame = before?.vary.length === names.length;
  const known = isSame ? before.variants : [];
  if (isSame && (known.includes(address) || known.length >= MAX_NAMED)) return;
  const index: CacheIndex = {
    kind: "index",
    vary: names,
    since: before?.since ?? stored.requestedAt,
    variants: [...known, address],
  };
  // One that goes before its variants takes them with it.
  await tier.write(keyed.address, index, NOTHING, MAX_RETENTION_MS);
}

/** What is to be kept. Times in ms. */
export interface Keeping {
  readonly stored: StoredResponse;
  readonly body: Uint8Array;
  /** What began before is dead. */
  readonly since: number;
  /** How long it is worth keeping. */
  readonly retentionMs: number;
}

/**
 * When a resource became useless of which there are entries for each of several; 0: never. Word of it is left in the place's own tier, at an
 * address that all of them ask.
 */
async function wordAt(tier: Tier, { address, root }: Keyed): Promise<number> {
  const record = root === address || tier.name !== "colo" ? undefined : await recordAt(tier, root);
  return record?.kind === "index" ? record.since : 0;
}

/** Leaves word in a tier that every variant from before is dead. Rejects when the tier fails. */
export async function invalidateIn(tier: Tier, address: string, since: number): Promise<void> {
  await tier.write(address, { kind: "index", vary: [], since, variants: [] }, NOTHING, MAX_RETENTION_MS);
}

function usable(kept: KeptResponse, since: number): KeptResponse | undefined {
  const { requestedAt, bytesRequestedAt, generatedAt } = kept.stored;
  const now = Date.now();
  const isOfNow = Math.max(requestedAt, generatedAt) <= now + CLOCK_AHEAD_MS && bytesRequestedAt <= requestedAt;
  // Purges from before that are forgotten.
  if (isOfNow && requestedAt >= since && bytesRequestedAt > now - MAX_RETENTION_MS) return kept;
  drop(kept.body);
  return undefined;
}

/** Answers come in another order than they were asked for: what was asked for later stays. */
function isNewer(record: CacheRecord | undefined, { requestedAt }: StoredResponse): boolean {
  if (record?.kind !== "response") return false;
  const there = record.stored.requestedAt;
  return there > requestedAt && there <= Date.now() + CLOCK_AHEAD_MS;
}

async function recordAt(tier: Tier, address: string): Promise<CacheRecord | undefined> {
  const kept = await tier.read(address);
  if (kept !== undefined) drop(kept.body);
  return kept === undefined || isAhead(kept.record) ? undefined : kept.record;
}

/** An index of a clock that was wrong would make everything dead until then. */
function isAhead(record: CacheRecord): boolean {
  return record.kind === "index" && record.since > Date.now() + CLOCK_AHEAD_MS;
}
