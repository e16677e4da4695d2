import { addresses } from "../../objects/address.ts";
import type { SharedTerms } from "../../objects/web-socket-relay/mode-terms.ts";
import type { SharedSettings } from "../../schemas/index.ts";
import { CREDENTIAL_FIELDS } from "../credential-fields.ts";
import type { Exchange } from "../exchange.ts";
import { identityOf, namingSecret } from "../limits/client-address.ts";

/** What a relay needs to know of how a connection is shared. */
export function sharedTerms(settings: SharedSettings): SharedTerms {
  const { between, clientMessages, maxClients, lingerMs, window = null, overflow, reconnect } = settings;
  return { isForAnyone: between === "anyone", clientMessages, maxClients, lingerMs, window, overflow, reconnect };
}

/**
 * The object of all clients that share a connection with this one: of the same route, configuration, placement and URL, that offer the same
 * protocols and are the same by `by`. What an origin says to one of them all of them hear, so unless the route says that anyone may,
 * they have to send the same credentials too.
 */
export async function sharedName(exchange: Exchange, settings: SharedSettings): Promise<string> {
  const { request, route, configVersion, placement, fields, principal, client, env } = exchange;
  const value = (name: string) => fields.get(name) ?? "";
  const known = principal === client.address ? "" : principal;
  const parts = [
    route.route.id,
    String(configVersion),
    placement?.backend ?? "",
    placement?.variant ?? "",
    request.url,
    value("sec-websocket-protocol"),
    ...(settings.between === "anyone" ? [] : [known, ...credentialNames(settings).map(value)]),
    ...identityOf(settings.by, exchange).parts,
  ];
  const { name } = await addresses(namingSecret(env)).sharedSocket(parts);
  return name;
}

/** Fields by which an origin may know who asks, but those that tell clients apart. */
export function credentialNames({ by }: SharedSettings): readonly string[] {
  const kept = new Set(by.map((key) => (key.kind === "cookie" ? "cookie" : "name" in key ? key.name : "")));
  return ["authorization", "cookie", ...CREDENTIAL_FIELDS].filter((name) => !kept.has(name));
}
