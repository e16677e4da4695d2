/**
 * Whether what comes with a version of the configuration is out of date where another one is known. A document that somebody has
 * written by hand has none (0) and is meant, whatever there was before; it is out of date with the next message that has one.
 */
export function isOutdated(version: number, known: number): boolean {
  return version !== 0 && version < known;
}
