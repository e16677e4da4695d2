/** RFC 3986, section 2.3. */
const UNRESERVED = /[\w\-.~]/;

/**
 * A path with one spelling of each escape (RFC 3986, section 6.2.2): none for a character that needs none, upper case for all others. What
 * is cached is known by it and asked for by it, or `/%61` would be another entry than `/a`, which a purge of `/a` leaves.
 */
export function plainPath(path: string): string {
  if (!path.includes("%")) return path;
  return path.replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });
}
