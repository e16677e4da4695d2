const MAX_TEXT = 80;
const MAX_KEYS = 8;

/**
 * Says what a document holds somewhere, for the `got` of a problem: short, on one line, and without the user info of
 * a URL, since problems end up in logs and in answers of the admin API.
 */
export function describeValue(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : `an array of ${value.length}`;
  if (typeof value !== "object") return `a ${typeof value}`;
  const keys = Object.keys(value);
  if (keys.length === 0) return "an empty object";
  const shown = keys.slice(0, MAX_KEYS).map(shorten).join(", ");
  return `an object with ${shown}${keys.length > MAX_KEYS ? ", ..." : ""}`;
}

/** A text in quotes, as JSON escapes it. */
export function quote(text: string): string {
  return JSON.stringify(shorten(withoutUserInfo(text)));
}

function withoutUserInfo(text: string): string {
  if (!text.includes("@") || !/^[a-z][a-z0-9+.-]*:/i.test(text)) return text;
  if (URL.canParse(text) && new URL(text).username === "" && new URL(text).password === "") return text;
  // A password may hold any character, so in a URL that does not parse everything before the last @ may be one.
  return text.replace(/:[/\\]*.*@/s, "://***@");
}

function shorten(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text;
}
