/** What a request with an unsafe method came to. */
export interface Unsafe {
  readonly method: string;
  /** Canonical and absolute, as the client sees it. */
  readonly url: string;
  readonly status: number;
  readonly location: string | null;
  readonly contentLocation: string | null;
}

const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/**
 * The URLs whose stored responses are no longer right after a request (RFC 9111, section 4.4): its own, and what `Location` and
 * `Content-Location` name if that is of the same origin; else anyone could throw out what is another's. Nothing after a safe method, or
 * where it failed. A method that nobody knows is unsafe.
 */
export function invalidatedUrls({ method, url, status, location, contentLocation }: Unsafe): readonly string[] {
  if (SAFE.has(method) || status < 200 || status > 399) return [];
  const own = URL.parse(url);
  if (own === null) return [];
  const urls = new Set([withoutFragment(own)]);
  for (const reference of [location, contentLocation]) {
    const named = reference === null ? null : URL.parse(reference, url);
    if (named !== null && named.origin === own.origin) urls.add(withoutFragment(named));
  }
  return [...urls];
}

function withoutFragment({ origin, pathname, search }: URL): string {
  return origin + pathname + search;
}
