/** FNV-1a's basis: the seed of a text that follows no other. */
export const FIRST_SEED = 0x811c_9dc5;

/**
 * Hashes a text to 32 bits, the same in every isolate and for ever. FNV-1a over UTF-16 units and the length, so that "a" + "bc" and
 * "ab" + "c" differ. No secret: whoever chooses texts may aim. To be finished by `fractionOf`, or passed on as the next text's seed.
 */
export function stableHash(text: string, seed: number): number {
  let state = Math.imul(seed ^ text.length, 0x0100_0193);
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    state = Math.imul(state ^ (unit & 0xff), 0x0100_0193);
    state = Math.imul(state ^ (unit >>> 8), 0x0100_0193);
  }
  return state;
}

/** A hash as a number in (0, 1), evenly spread. */
export function fractionOf(hash: number): number {
  return (mix(hash) + 0.5) / 2 ** 32;
}

/** The finaliser of MurmurHash3: without it, texts that differ in their last character would draw neighbouring numbers. */
function mix(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
