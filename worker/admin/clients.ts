import type { ObjectAddress } from "../../objects/address.ts";
import { addresses } from "../../objects/address.ts";
import type { ClientView } from "../../objects/rate-limiter/client-view.ts";
import { GatewayError } from "../errors.ts";
import type { LimitKey } from "../../schemas/index.ts";
import { formatKey, namingSecret } from "../limits/client-address.ts";
import { ownerAt } from "./client-owner.ts";
import type { AdminContext } from "./index.ts";
import { json } from "./json.ts";
import { searchedIdentity } from "./searched-identity.ts";

/**
 * GET /admin/clients/{id}: one client's live buckets, tokens on lease, permits, last decisions and ban, by the handle that
 * `RateLimit`'s `pk` shows.
 */
export async function readClient(id: string, context: AdminContext): Promise<Response> {
  const { ask, client } = await ownerAt(id, context);
  const view: ClientView | null = await ask((owner) => owner.inspect(client));
  if (view === null)
    throw new GatewayError("not-found", { detail: "Nothing is remembered of this client: its limits are full." });
  return json(view);
}

/**
 * GET /admin/clients?by=ip&value=192.0.2.7: which handles a client has, and what each of its owners remembers. A handle
 * depends on how its limit keeps clients and where they were seen, so all that can exist are looked at. Where nobody is
 * found and no limit tells clients apart so, a note says how they do.
 */
export async function findClients(context: AdminContext): Promise<Response> {
  const { env, query } = context;
  const { parts, holdsAddress } = searchedIdentity(query);
  const book = addresses(namingSecret(env));
  const continents = holdsAddress ? [undefined, "AF", "AN", "AS", "EU", "NA", "OC", "SA"] : [undefined];
  const candidates = [
    ...continents.map((continent) => book.addressClient({ parts, clients: "pooled", continent })),
    book.addressClient({ parts, clients: "own", continent: undefined }),
  ];
  const views = await Promise.all(candidates.map(async (candidate) => inspect(await candidate, context)));
  const clients = views.filter((view) => view !== null);
  const known = context.active.config.routes.flatMap(({ rateLimits }) => rateLimits.map(({ by }) => spell(by)));
  const searched = keysOf(parts);
  if (clients.length > 0 || known.includes(searched)) return json({ clients });
  const others = [...new Set(known)].join("; ");
  return json({ clients, note: `No limit tells clients apart by ${searched}. Limits do by: ${others || "nothing"}.` });
}

function spell(by: readonly LimitKey[]): string {
  return by.map(formatKey).join(", ");
}

/** The keys of an identity as the limit that made it would spell them, whether the client sent them or not. */
function keysOf(parts: readonly string[]): string {
  return parts
    .filter((_part, index) => index % 2 === 0)
    .map((name) => name.replace(/^no-/, ""))
    .join(", ");
}

async function inspect({ client }: ObjectAddress, context: AdminContext): Promise<ClientView | null> {
  const { ask } = await ownerAt(client, context);
  return ask<ClientView | null>((owner) => owner.inspect(client));
}
