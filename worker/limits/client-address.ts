import { addresses, type ObjectAddress } from "../../objects/address.ts";
import type { LimitKey } from "../../schemas/index.ts";
import { readCookie } from "../cookie.ts";
import type { Exchange } from "../exchange.ts";

/** Names every client of this deployment; without it an object's name could be guessed. */
export function namingSecret(env: Env): string {
  if (env.NAMING_SECRET !== undefined) return env.NAMING_SECRET;
  throw new Error(
    "NAMING_SECRET is not set; make one with: openssl rand -hex 32 | npx wrangler secret put NAMING_SECRET",
  );
}

/**
 * Where the counters of this exchange's client are, as these limits tell clients apart.
 *
 * `own` objects are for clients that somebody vouches for or that the configuration says to trust; one who should have
 * been vouched for and was not is pooled among the other addresses whatever the configuration says, since a flood of
 * strangers must not make a flood of objects.
 */
export function clientAddress(
  exchange: Exchange,
  by: readonly LimitKey[],
  clients: "pooled" | "own",
): ObjectAddress | Promise<ObjectAddress> {
  const identity = identityOf(by, exchange);
  const continent = identity.holdsAddress ? exchange.request.cf?.["continent"] : undefined;
  return addresses(namingSecret(exchange.env)).addressClient({
    parts: identity.parts,
    clients: identity.isStranger ? "pooled" : clients,
    // Only an address stays on its continent; any other identity would get one counter on each.
    continent: typeof continent === "string" ? continent : undefined,
  });
}

/** What tells a client apart, as one text; for a balancer, which spreads clients and stores nothing of them. */
export function identityKey(by: readonly LimitKey[], exchange: Exchange): string {
  return identityOf(by, exchange).parts.join("\n");
}

export interface Identity {
  readonly parts: readonly string[];
  readonly holdsAddress: boolean;
  /** Whether authentication should have said who it is, and did not. */
  readonly isStranger: boolean;
  /** Whether the client sends all that it is to be told apart by. */
  readonly isComplete: boolean;
}

/**
 * The parts that name a client to a limit, to be hashed together. Kind and value alternate, so that a header can never
 * pass for an address. A client that does not send what it is told apart by is told apart by its address instead: one
 * bucket for everyone who leaves it out would let any of them lock out the rest.
 */
export function identityOf(by: readonly LimitKey[], exchange: Exchange): Identity {
  const parts: string[] = [];
  let holdsAddress = false;
  let isStranger = false;
  let isComplete = true;
  for (const key of by) {
    const name = formatKey(key);
    const value = valueOf(key, exchange);
    if (value === null) {
      parts.push(`no-${name}`, exchange.client.network);
      isStranger ||= isVouchedFor(key);
      isComplete = false;
    } else parts.push(name, value);
    holdsAddress ||= value === null || key.kind === "ip";
  }
  return { parts, holdsAddress, isStranger, isComplete };
}

/** What tells the client apart under one key; null: nothing that it sends. */
function valueOf(key: LimitKey, exchange: Exchange): string | null {
  switch (key.kind) {
    case "ip":
      return exchange.client.network;
    case "all":
      return "";
    case "route":
      return exchange.route.route.id;
    case "header":
      // An empty value names nobody, and all who send it would share a bucket.
      return exchange.fields.endToEnd.get(key.name) || null;
    case "cookie":
      return readCookie(exchange.fields.endToEnd.get("cookie"), key.name);
    case "principal":
      // Until a step has identified the client better, its address.
      return exchange.principal === exchange.client.address ? null : exchange.principal;
    case "consumer":
      return exchange.consumer ?? null;
    case "claim":
      return claimText(exchange.claims, key.name);
  }
}

function isVouchedFor({ kind }: LimitKey): boolean {
  return kind === "principal" || kind === "consumer" || kind === "claim";
}

/** Texts and numbers name somebody; lists and objects have no one spelling. */
function claimText(claims: Exchange["claims"], name: string): string | null {
  const value = claims === undefined || !Object.hasOwn(claims, name) ? undefined : claims[name];
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : null;
}

/** A key as a configuration and the admin API write it. */
export function formatKey(key: LimitKey): string {
  return "name" in key ? `${key.kind}:${key.name}` : key.kind;
}
