/** Which characters one position of a pattern takes: exact for ASCII, all or nothing beyond it. */
export interface CharacterSet {
  /** Bit n stands for the ASCII character n. */
  readonly ascii: bigint;
  /** Whether it may take anything beyond ASCII; true when in doubt. */
  readonly others: boolean;
}

/** What `[^]` takes. */
export const ANY_CHARACTER: CharacterSet = { ascii: (1n << 128n) - 1n, others: true };

/**
 * Reads a class (`[a-z]`, `\d`, `.`) or a single character as written in a pattern with the `u` flag. The engine itself
 * says which ASCII characters it takes, so there is no second opinion about what `[\w-]` means.
 */
export function characterSet(source: string): CharacterSet {
  const test = new RegExp(`^(?:${source})$`, "u");
  let ascii = 0n;
  for (let code = 0; code < 128; code++) {
    if (test.test(String.fromCharCode(code))) ascii |= 1n << BigInt(code);
  }
  return { ascii, others: mayTakeOthers(source) };
}

/** Whether some character is in both. */
export function overlaps(a: CharacterSet, b: CharacterSet): boolean {
  return (a.others && b.others) || (a.ascii & b.ascii) !== 0n;
}

function mayTakeOthers(source: string): boolean {
  // \s has spaces beyond ASCII; \u, \x, \p and a negation may have anything.
  return source === "." || source.startsWith("[^") || /\P{ASCII}|\\[DWSspPuxc]/u.test(source);
}
