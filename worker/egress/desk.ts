import { createLru } from "../../objects/lru.ts";
import { newBorrower, type Borrower } from "../../objects/upstream-quota/quota-borrower.ts";

/** What this isolate knows of one quota, whichever backends share it. Changed in place. Times in ms since the epoch. */
export interface Desk {
  /** Names this isolate to the owner. */
  readonly isolate: string;
  borrower: Borrower;
  /** Of the last question. */
  seq: number;
  /** Since when the owner has answered nothing; undefined: it answers. */
  silentSince: number | undefined;
}

/** Who is forgotten loses slots ahead, half a second's worth. */
const MAX_DESKS = 256;

/** Made at first use: there is no randomness at start-up. */
let isolate: string | undefined;
const desks = createLru<string, Desk>(MAX_DESKS);

/** The desk of a quota, the same value each time. */
export function deskOf(quota: string): Desk {
  const known = desks.get(quota);
  if (known !== undefined) return known;
  isolate ??= crypto.randomUUID();
  const desk: Desk = { isolate, borrower: newBorrower(), seq: 0, silentSince: undefined };
  desks.set(quota, desk);
  return desk;
}
