/** A longer `Cookie` field names nobody; a browser sends at most about 4,096 characters a cookie. */
const MAX_FIELD = 16_384;

/** RFC 6265 6.1: what a browser has to be able to store. */
const MAX_VALUE = 4_096;

/**
 * The value of one cookie; null when there is none, when it is empty, or too long to name anything, and when the field
 * holds it with several values: some origins take the first, others the last, so a client could be counted as one it made
 * up and served as the one it is.
 *
 * Quotes around it and escapes in it are undone, as most readers of cookies do: a session that could be written in many
 * ways would be as many clients.
 */
export function readCookie(field: string | null, name: string): string | null {
  if (field === null || field.length > MAX_FIELD) return null;
  let found: string | undefined;
  for (const pair of field.split(";")) {
    const equals = pair.indexOf("=");
    if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
    const value = decode(pair.slice(equals + 1).trim());
    if (found !== undefined && found !== value) return null;
    found = value;
  }
  return found === undefined || found === "" || found.length > MAX_VALUE ? null : found;
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

/**
 * A `Cookie` field without one cookie, every other pair as the client wrote it. A field with quotes in it is left alone: for
 * readers of RFC 2109 a quoted value may hold semicolons, and a piece cut out of one would change what they read. So is one with a
 * replacement character, where the runtime has read bytes that are no UTF-8: written anew, those are lost.
 */
export function withoutCookie(field: string, name: string): string {
  if (/["\ufffd]/.test(field)) return field;
  const pairs = field.split(";");
  const kept = pairs.filter((pair) => pair.split("=", 1)[0]?.trim() !== name);
  return kept.length === pairs.length ? field : kept.join(";").trim();
}
