/** Beyond this many characters of a `Cookie` field nothing is looked for; a browser sends at most about 4,096 a cookie. */
const MAX_FIELD = 16_384;

/** RFC 6265 6.1: what a browser has to be able to store. */
const MAX_VALUE = 4_096;

/**
 * The value of one cookie; null when there is none, when it is empty, or too long to name anything. Of several with one
 * name the first counts: browsers send the one with the longest path first (RFC 6265 5.4), and what comes later may have
 * been planted from a sister domain.
 *
 * Quotes around it and escapes in it are undone, as most readers of cookies do: a session that could be written in many
 * ways would be as many clients.
 */
export function readCookie(field: string | null, name: string): string | null {
  if (field === null) return null;
  for (const pair of field.slice(0, MAX_FIELD).split(";")) {
    const equals = pair.indexOf("=");
    if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
    const value = decode(pair.slice(equals + 1).trim());
    return value === "" || value.length > MAX_VALUE ? null : value;
  }
  return null;
}

function decode(written: string): string {
  const bare = written.length > 1 && written.startsWith('"') && written.endsWith('"') ? written.slice(1, -1) : written;
  if (!bare.includes("%")) return bare;
  try {
    return decodeURIComponent(bare);
  } catch {
    return bare;
  }
}
