import type { Epoch, PurgeEpochs } from "./purge.ts";

/** No field, and no tag of a configuration, can hold it: what has it in its name is a group, and nobody's tag. */
const BETWEEN = "\n";

/** What ends every group of every origin: where there are too many to tell them apart. */
export const ALL_GROUPS = BETWEEN;

/** So many are told at once; whoever has more tells `ALL_GROUPS`. */
export const MAX_GROUPS_AT_ONCE = 256;

/** All of them are sent to every isolate after each change: about 100 bytes each. */
const MOST = 1_000;

/** The tag that a group of an origin (`https://a.example.com`) is purged by: of this origin alone (RFC 9875, section 2). */
export function groupTag(origin: string, group: string): string {
  return origin + BETWEEN + group;
}

/** Whether a tag is a group's, or that of all. */
export function isGroupTag(tag: string): boolean {
  return tag.includes(BETWEEN);
}

/**
 * Forgets the oldest groups where there are too many. Anybody whom an origin lets change something can make it name new ones: without a
 * bound of their own they would push out what operators have purged. What belongs to any group and is from before the latest that was
 * forgotten has to be confirmed; nothing else does.
 */
export function boundGroups(epochs: PurgeEpochs, most = MOST): PurgeEpochs {
  const all = epochs.tags.get(ALL_GROUPS)?.softAt ?? 0;
  const times: number[] = [];
  for (const [tag, epoch] of epochs.tags) if (isNamed(tag)) times.push(latest(epoch));
  const beyond = times.sort((a, b) => b - a)[most] ?? 0;
  const floor = Math.max(all, beyond);
  if (floor === 0) return epochs;
  const tags = new Map([...epochs.tags].filter(([tag, epoch]) => !isNamed(tag) || latest(epoch) > floor));
  return { ...epochs, tags: tags.set(ALL_GROUPS, { hardAt: 0, softAt: floor }) };
}

function isNamed(tag: string): boolean {
  return tag !== ALL_GROUPS && isGroupTag(tag);
}

function latest({ hardAt, softAt }: Epoch): number {
  return Math.max(hardAt, softAt);
}
