import { addresses, type ObjectAddress } from "../../objects/address.ts";
import type { LimitKey } from "../../schemas/index.ts";
import type { Exchange } from "../exchange.ts";

/** Names every client of this deployment; without it an object's name could be guessed. */
export function namingSecret(env: Env): string {
  if (env.NAMING_SECRET !== undefined) return env.NAMING_SECRET;
  throw new Error(
    "NAMING_SECRET is not set; make one with: openssl rand -hex 32 | npx wrangler secret put NAMING_SECRET",
  );
}

/** Where the counters of this exchange's client are, as these limits tell clients apart. */
export function clientAddress(
  exchange: Exchange,
  by: readonly LimitKey[],
  clients: "pooled" | "own",
): ObjectAddress | Promise<ObjectAddress> {
  const continent = by.some(({ kind }) => kind === "ip") ? exchange.request.cf?.["continent"] : undefined;
  return addresses(namingSecret(exchange.env)).addressClient({
    parts: identityParts(by, exchange),
    clients,
    // Only an address stays on its continent; any other identity would get one counter on each.
    continent: typeof continent === "string" ? continent : undefined,
  });
}

/**
 * The parts that name a client to a limit, to be hashed together. Kind and value alternate, so that a header can never
 * pass for an address. A client that does not send the header it is told apart by is told apart by its address instead:
 * one bucket for everyone who leaves it out would let any of them lock out the rest.
 */
function identityParts(by: readonly LimitKey[], exchange: Exchange): readonly string[] {
  const parts: string[] = [];
  for (const key of by) {
    switch (key.kind) {
      case "ip":
        parts.push("ip", exchange.client.network);
        break;
      case "all":
        parts.push("all", "");
        break;
      case "route":
        parts.push("route", exchange.route.route.id);
        break;
      case "header": {
        const value = exchange.fields.endToEnd.get(key.name);
        if (value === null) parts.push(`no-header:${key.name}`, exchange.client.network);
        else parts.push(`header:${key.name}`, value);
        break;
      }
    }
  }
  return parts;
}
