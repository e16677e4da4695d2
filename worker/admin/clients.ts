import type { ObjectAddress } from "../../objects/address.ts";
import { addresses } from "../../objects/address.ts";
import type { ClientView } from "../../objects/rate-limiter/client-view.ts";
import { parseAddress } from "../../schemas/cidr.ts";
import { networkOf } from "../client.ts";
import { GatewayError } from "../errors.ts";
import { namingSecret } from "../limits/client-address.ts";
import { ask, ownerAt } from "./client-owner.ts";
import type { AdminContext } from "./index.ts";
import { json } from "./json.ts";

/**
 * GET /admin/clients/{id}: one client's live buckets, tokens on lease, permits, last decisions and ban, by the handle that
 * `RateLimit`'s `pk` shows.
 */
export async function readClient(id: string, context: AdminContext): Promise<Response> {
  const { owner, client } = await ownerAt(id, context);
  const view: ClientView | null = await ask(owner.inspect(client));
  if (view === null)
    throw new GatewayError("not-found", { detail: "Nothing is remembered of this client: its limits are full." });
  return json(view);
}

/**
 * GET /admin/clients?by=ip&value=192.0.2.7: which handles a client has, and what each of its owners remembers. A handle
 * depends on how its limit keeps clients and where they were seen, so all that can exist are looked at.
 */
export async function findClients(context: AdminContext): Promise<Response> {
  const { env, query } = context;
  const parts = identityOf(query.get("by"), query.get("value"));
  const book = addresses(namingSecret(env));
  const continents = parts[0] === "ip" ? [undefined, "AF", "AN", "AS", "EU", "NA", "OC", "SA"] : [undefined];
  const candidates = [
    ...continents.map((continent) => book.addressClient({ parts, clients: "pooled", continent })),
    book.addressClient({ parts, clients: "own", continent: undefined }),
  ];
  const views = await Promise.all(candidates.map(async (candidate) => inspect(await candidate, context)));
  return json({ clients: views.filter((view) => view !== null) });
}

async function inspect({ client }: ObjectAddress, context: AdminContext): Promise<ClientView | null> {
  const { owner } = await ownerAt(client, context);
  return ask<ClientView | null>(owner.inspect(client));
}

function identityOf(by: string | null, value: string | null): readonly string[] {
  if (by === "all") return ["all", ""];
  if (by === "ip" && value !== null) {
    const address = parseAddress(value);
    if (address !== undefined) return ["ip", networkOf(address)];
    throw new GatewayError("invalid-request", { detail: `value is ${JSON.stringify(value)}, wanted an IP address.` });
  }
  if (by?.startsWith("header:") === true && value !== null) return [by.toLowerCase(), value];
  if (by === "route" && value !== null) return ["route", value];
  throw new GatewayError("invalid-request", {
    detail: "Wanted by=ip, by=header:NAME or by=route with a value, or by=all.",
  });
}
