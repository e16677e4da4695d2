import { addresses } from "../../../objects/address.ts";
import { ALL_GROUPS, MAX_GROUPS_AT_ONCE } from "../../../objects/control-plane/group-purges.ts";
import { createLru } from "../../../objects/lru.ts";
import { createDependency, ONE_TRY } from "../../dependencies/dependency.ts";
import type { Exchange } from "../../exchange.ts";
import { namingSecret } from "../../limits/client-address.ts";
import { namedGroups } from "../groups.ts";

/** Whoever makes a client's POST repeat must not reach ControlPlane with each: an isolate tells four times a second at most. */
const PAUSE_MS = 250;
const TELL_MS = 2_000;
/** For so long one exchange tells for all; what is behind an answer may run for 30 s. */
const TELLING_MS = 10_000;
/** An exchange that was ended from outside tells no more. */
const STUCK_MS = TELLING_MS + TELL_MS + PAUSE_MS;

const planes = createDependency({ kind: "ControlPlane", remembers: 1 });

/** When this isolate passed on what made them invalid, in ms since the epoch. What it forgets, ControlPlane has been told long since. */
const here = createLru<string, number>(2_000);
const untold = new Set<string>();
let toldSince = -Infinity;

/** When this isolate has seen a group become invalid, in ms since the epoch; undefined: it has not. */
export function invalidatedHere(tag: string): number | undefined {
  return here.get(tag);
}

/**
 * Makes the groups invalid that an answer to an unsafe request names: in this isolate at once, in all others within 2 s of when
 * ControlPlane has noted it, which happens behind the answer. Where it can't be reached for 10 s the next such answer tries again.
 */
export function invalidateGroups(exchange: Exchange, { status, headers }: Response): void {
  const { canonical, client, ctx, env, notes } = exchange;
  const { tags, isCut } = namedGroups(`${client.scheme}://${canonical.host}`, canonical.method, status, headers);
  if (isCut) (notes.degraded ??= []).push("cache-groups");
  if (tags.length === 0) return;
  const now = Date.now();
  for (const tag of tags) here.set(tag, now);
  haveTold(tags);
  if (now - toldSince < STUCK_MS) return;
  toldSince = now;
  ctx.waitUntil(tellAll(env, now + TELLING_MS));
}

function haveTold(tags: readonly string[]): void {
  for (const tag of tags) untold.add(tag);
  if (untold.size <= MAX_GROUPS_AT_ONCE && !untold.has(ALL_GROUPS)) return;
  untold.clear();
  untold.add(ALL_GROUPS);
}

async function tellAll(env: Env, until: number): Promise<void> {
  for (;;) {
    const isLast = Date.now() >= until;
    // Whoever comes from here on tells by himself.
    if (isLast) toldSince = -Infinity;
    const values = [...untold];
    untold.clear();
    await tell(env, values).catch(() => haveTold(values));
    if (isLast) return;
    await scheduler.wait(PAUSE_MS);
    if (untold.size > 0) continue;
    toldSince = -Infinity;
    return;
  }
}

async function tell(env: Env, values: readonly string[]): Promise<unknown> {
  const { name } = await addresses(namingSecret(env)).controlPlane();
  const call = async () => {
    const plane = env.CONTROL_PLANE.get(env.CONTROL_PLANE.idFromName(name), ONE_TRY);
    return plane.purge({ v: 1, target: { kind: "groups", values }, isSoft: true });
  };
  return planes.call(name, call, { deadlineMs: TELL_MS });
}
