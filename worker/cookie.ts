/** Beyond this many characters of a `Cookie` field nothing is looked for; a browser sends at most about 4,096 a cookie. */
const MAX_FIELD = 16_384;

/** RFC 6265 6.1: what a browser has to be able to store. */
const MAX_VALUE = 4_096;

/**
 * The value of one cookie, as it stands between `=` and `;`; null when there is none, when it is empty, or too long to
 * name anything. Of several with one name the first counts: browsers send the one with the longest path first
 * (RFC 6265 5.4), and what comes later may have been planted from a sister domain.
 */
export function readCookie(field: string | null, name: string): string | null {
  if (field === null) return null;
  for (const pair of field.slice(0, MAX_FIELD).split(";")) {
    const equals = pair.indexOf("=");
    if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
    const value = pair.slice(equals + 1).trim();
    return value === "" || value.length > MAX_VALUE ? null : value;
  }
  return null;
}
