import { isText, wanted, type Unchecked } from "../message-checks.ts";
import type { CacheTally } from "./cache-tally.ts";
import { isGroupTag, MAX_GROUPS_AT_ONCE } from "./group-purges.ts";
import type { PurgeEpochs, PurgeTarget } from "./purge.ts";

/** What `ControlPlane` is asked to forget. Every message has `v`; unknown fields are ignored. */
export interface PurgeMessage {
  readonly v: 1;
  readonly target: PurgeTarget;
  /** What it reaches becomes stale instead of dead. */
  readonly isSoft: boolean;
}

/** When it counts from: what began before, by the object's clock in ms since the epoch, is purged. */
export interface PurgeReply {
  readonly v: 1;
  readonly at: number;
}

/** What an isolate knows already. */
export interface EpochsMessage {
  readonly v: 1;
  /** Of the epochs that it has; 0: it has none. */
  readonly version: number;
  /** What its cache has done since it told so last; absent: nothing. */
  readonly tally?: CacheTally | undefined;
}

/** What the admin API asks. */
export interface TallyMessage {
  readonly v: 1;
  /** What its own cache has done since it told so last. */
  readonly tally?: CacheTally | undefined;
}

/** What it lacks. */
export interface EpochsReply {
  readonly v: 1;
  readonly version: number;
  /** Null: nothing is new. */
  readonly epochs: PurgeEpochs | null;
}

/** Longer than any tag, key or prefix that a response can have. */
const MAX_VALUE = 8_192;

/** What is wrong with a purge; undefined: nothing. */
export function purgeProblem({ v, target, isSoft }: Unchecked<PurgeMessage>): string | undefined {
  if (v !== 1) return wanted("v", v, "1");
  if (typeof isSoft !== "boolean") return wanted("isSoft", isSoft, "true or false");
  if (typeof target !== "object" || target === null) return wanted("target", target, "an object");
  const { kind, value, values, prefix }: Partial<Record<"kind" | "value" | "values" | "prefix", unknown>> = target;
  if (kind === "all") return undefined;
  if (kind === "prefix") return prefixProblem(prefix);
  if (kind === "groups") return groupsProblem(values);
  if (kind !== "key" && kind !== "route" && kind !== "tag") return wanted("target.kind", kind, "a kind of purge");
  return isText(value, MAX_VALUE) ? undefined : wanted("target.value", value, `1 to ${MAX_VALUE} characters`);
}

function groupsProblem(values: unknown): string | undefined {
  const isGroup = (value: unknown) => isText(value, MAX_VALUE) && isGroupTag(value);
  const list: readonly unknown[] | undefined = Array.isArray(values) ? values : undefined;
  const isWell = list !== undefined && list.length <= MAX_GROUPS_AT_ONCE && list.every(isGroup);
  return isWell ? undefined : wanted("target.values", values, `up to ${MAX_GROUPS_AT_ONCE} groups`);
}

function prefixProblem(prefix: unknown): string | undefined {
  if (typeof prefix !== "object" || prefix === null) return wanted("target.prefix", prefix, "an object");
  const { method, host, path }: { method?: unknown; host?: unknown; path?: unknown } = prefix;
  const isWell = [method, host].every((part) => part === "" || isText(part, MAX_VALUE)) && isText(path, MAX_VALUE);
  return isWell ? undefined : wanted("target.prefix", prefix, "method, host and path");
}
