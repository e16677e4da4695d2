/** What makes two requests the same to an idempotency key. */
export interface Fingerprinted {
  readonly method: string;
  readonly route: string;
  /** Host without its port, and canonical path with its query. */
  readonly target: string;
  readonly contentType: string;
  /** Digest of the credentials, where nobody vouches for whose the key is; else of none. */
  readonly credentials: string;
  /** SHA-256 of the body as it was sent, hexadecimal. */
  readonly bodyDigest: string;
}

/**
 * The parts whose digest is a request's fingerprint. A key that comes again with another fingerprint was used for something else, and must
 * not be answered with what that came to.
 *
 * To be digested with their lengths before them, as the parts of a cache key are.
 */
export function fingerprintParts(request: Fingerprinted): readonly string[] {
  const { method, route, target, contentType, credentials, bodyDigest } = request;
  return [method, route, target, contentType.trim().toLowerCase(), credentials, bodyDigest];
}
