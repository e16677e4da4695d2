import { ALL_GROUPS, groupTag } from "../../objects/control-plane/group-purges.ts";
import type { PurgeEpochs, PurgeVerdict } from "../../objects/control-plane/purge.ts";
import type { FieldReader, Fields } from "./fields.ts";
import { groupsOf, invalidatedGroups } from "./tags.ts";

/** RFC 9875, section 3 obliges to 32 of 32 characters at least. */
const MAX_GROUPS = 64;
const MAX_LENGTH = 128;

/** Clocks of two machines differ; see `purgeVerdict`. */
const CLOCK_GUARD_MS = 1_000;

/** As RFC 9875 wants it of what is invalidated: it may be confirmed, but bridges nothing until it is. */
const TO_BE_CONFIRMED: PurgeVerdict = { kind: "stale", since: 0 };

/** Groups that an answer invalidates, as tags of its origin. */
export interface NamedGroups {
  readonly tags: readonly string[];
  /** There were more than 64, or longer ones than 128 characters: those are ignored. */
  readonly isCut: boolean;
}

/** A response that belongs to groups. */
export interface Grouped {
  /** When the request that brought it, or last confirmed it, began, in ms since the epoch. */
  readonly requestedAt: number;
  /** As tags of its origin. */
  readonly groups: readonly string[];
  /** How long after what ControlPlane has noted a request counts as before it, for the difference of their clocks. Default 1 s. */
  readonly guardMs?: number;
}

/** The groups of an origin that an answer to a request invalidates (RFC 9875, section 3). */
export function namedGroups(origin: string, method: string, status: number, fields: FieldReader): NamedGroups {
  const named = [...new Set(invalidatedGroups(method, status, fields))];
  const taken = named.filter((group) => group.length <= MAX_LENGTH).slice(0, MAX_GROUPS);
  return { tags: taken.map((group) => groupTag(origin, group)), isCut: taken.length < named.length };
}

/** The groups that a response of an origin belongs to, as tags of that origin. */
export function groupTagsOf(origin: string, fields: Fields): readonly string[] {
  const value = fields.find(([name]) => name === "cache-groups")?.[1] ?? null;
  return groupsOf(value).map((group) => groupTag(origin, group));
}

/**
 * What is left of a response after its groups were invalidated: what a purge has left of it, or less.
 *
 * @param here what this isolate has passed on itself and ControlPlane may not know yet: when, in ms since the epoch.
 */
export function afterGroups(
  purge: PurgeVerdict,
  { requestedAt, groups, guardMs = CLOCK_GUARD_MS }: Grouped,
  epochs: PurgeEpochs,
  here: (tag: string) => number | undefined,
): PurgeVerdict {
  if (purge.kind === "dead" || groups.length === 0) return purge;
  const isInvalid = [...groups, ALL_GROUPS].some((tag) => {
    const at = epochs.tags.get(tag)?.softAt ?? 0;
    return (at > 0 && requestedAt - guardMs <= at) || requestedAt <= (here(tag) ?? 0);
  });
  return isInvalid ? TO_BE_CONFIRMED : purge;
}
