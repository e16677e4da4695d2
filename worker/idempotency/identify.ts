import { addresses } from "../../objects/address.ts";
import { fingerprintParts } from "../../objects/dedup/fingerprint.ts";
import type { IdempotencySettings, LimitKey } from "../../schemas/index.ts";
import { keyBytes } from "../cache/cache-key.ts";
import { CREDENTIAL_FIELDS, dashed } from "../credential-fields.ts";
import type { Exchange } from "../exchange.ts";
import { identityOf, namingSecret } from "../limits/client-address.ts";

const CREDENTIALS: ReadonlySet<string> = new Set(["authorization", "cookie", ...CREDENTIAL_FIELDS]);
/** Isolates of one machine differ by it, and are one gateway. */
const PORT = /:\d+$/;

/** Which key a request has, and what for. */
export interface IdentifiedKey {
  /** Of the object that owns the key of this principal on this route. */
  readonly owner: string;
  readonly fingerprint: string;
}

/**
 * Identifies a request with a key. One principal's keys are nobody else's: what was answered to him may be secret. Where nobody vouches
 * for who that is, the credentials are part of the fingerprint, so that another one behind the same address is refused and not answered.
 */
export async function identify(
  exchange: Exchange,
  key: string,
  { settings, body }: { readonly settings: IdempotencySettings; readonly body: ArrayBuffer | undefined },
): Promise<IdentifiedKey> {
  const { canonical, fields, route, env } = exchange;
  const { method, host, path, query } = canonical;
  const { parts, isProven } = principalOf(exchange, settings.by);
  const { endToEnd } = fields;
  const credentialsIn = fields.names.filter((name) => CREDENTIALS.has(dashed(name)));
  const told = isProven ? [] : credentialsIn.flatMap((name) => [name, endToEnd.get(name) ?? ""]);
  const [owner, bodyDigest, credentials] = await Promise.all([
    addresses(namingSecret(env)).idempotency([route.route.id, String(parts.length), ...parts, key]),
    digest(body ?? new ArrayBuffer()),
    digest(keyBytes(told)),
  ]);
  const target = `${host.replace(PORT, "")}${path}${query}`;
  const contentType = endToEnd.get("content-type") ?? "";
  const request = { method, route: route.route.id, target, contentType, credentials, bodyDigest };
  return { owner: owner.name, fingerprint: await digest(keyBytes(fingerprintParts(request))) };
}

function principalOf(
  exchange: Exchange,
  by: readonly LimitKey[] | undefined,
): { readonly parts: readonly string[]; readonly isProven: boolean } {
  const { principal, client } = exchange;
  if (by === undefined) return { parts: [principal], isProven: principal !== client.address };
  const { parts, isComplete } = identityOf(by, exchange);
  return { parts, isProven: isComplete && by.some(({ kind }) => kind !== "ip") };
}

/** SHA-256, hexadecimal. */
async function digest(bytes: BufferSource): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
