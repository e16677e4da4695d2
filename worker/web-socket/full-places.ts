import { createLru } from "../../objects/lru.ts";
import type { Place, Refusal } from "../../objects/web-socket-relay/opening.ts";

/** How long a refusal is believed: four objects a second, whatever a client sends. */
const BELIEVED_MS = 250;

const refused = createLru<string, { readonly refusal: Refusal; readonly at: number }>(1_000);

/**
 * Why there is no place for a session, by what was heard a moment ago; undefined: it is to be asked for. A refusal costs an object, and
 * 2,000 of them were 480 MB of memory.
 */
export function knownRefusal(places: readonly Place[], now: number): Refusal | undefined {
  for (const place of places) {
    const known = refused.get(keyOf(place));
    // A clock that was set back would be believed.
    if (known !== undefined && Math.abs(known.at - now) < BELIEVED_MS) return known.refusal;
  }
  return undefined;
}

/** Remembers a refusal, if it was for want of a place. */
export function noteRefusal(refusal: Refusal, places: readonly Place[], now: number): void {
  const place = places.find(({ policy }) => policy === refusal.place);
  if (place !== undefined) refused.set(keyOf(place), { refusal, at: now });
}

function keyOf({ owner, client, policy }: Place): string {
  return `${owner} ${client} ${policy}`;
}
