import * as v from "valibot";

/** What is wrong with a path that is to be compared with requests' paths; undefined: nothing. */
export function pathFault(path: string): string | undefined {
  if (!path.startsWith("/")) return 'a path that starts with "/"';
  if (path.length > 1024) return "a path of at most 1,024 characters";
  if (/[?#]/.test(path)) return 'a path without a query and a fragment; match parameters with "query"';
  if (/[^\x21-\x7e]|[\\"<>^`{|}]/.test(path)) return "a path in URL characters; write others percent-encoded";
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return 'a path whose every "%" is followed by two hexadecimal digits';
  if (path.includes("//")) return "a path without empty segments";
  if (path.split("/").some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment)))
    return 'a path without "." and ".." segments';
  return undefined;
}

/**
 * A path with its escapes in one spelling (RFC 3986 6.2.2): in upper case, and only for characters that may not stand in
 * a path by themselves, separate it, or mean something in a pattern.
 */
export function normaliseEscapes(path: string): string {
  return path.replace(/%([0-9A-Fa-f]{2})/g, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /[\w\-.~!$&'()+,=@]/.test(character) ? character : escape.toUpperCase();
  });
}

/** A path of the gateway's own, such as `/healthz`. A trailing slash is dropped. */
export const ownPath = v.pipe(
  v.string('a path such as "/healthz"'),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const path = dataset.value.replace(/\/+$/, "");
    const fault = /[*:]/.test(path) ? 'a path without "*" and ":"' : pathFault(path);
    if (fault === undefined) return path;
    addIssue({ message: path === "" ? 'a path below the root, such as "/healthz"' : fault });
    return NEVER;
  }),
);
