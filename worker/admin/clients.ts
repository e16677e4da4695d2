import { addresses, type ObjectAddress } from "../../objects/address.ts";
import type { ClientView } from "../../objects/rate-limiter/client-view.ts";
import { parseAddress } from "../../schemas/cidr.ts";
import { networkOf } from "../client.ts";
import { GatewayError } from "../errors.ts";
import { namingSecret } from "../limits/client-address.ts";
import { ownerOf } from "../limits/owner.ts";
import { within } from "../within.ts";
import type { AdminContext } from "./index.ts";
import { json } from "./json.ts";

/** An operator waits longer than a request does. */
const OWNER_MS = 2_000;

/** GET /admin/clients/{id}: the live counters of one client, by the handle that `RateLimit`'s `pk` shows. */
export async function readClient(id: string, { env }: AdminContext): Promise<Response> {
  const address = await addresses(namingSecret(env)).locateClient(id);
  if (address === null)
    throw new GatewayError("not-found", { detail: "This is no client id; take it from the pk of a RateLimit header." });
  const report = await inspect(env, address);
  if (report === null)
    throw new GatewayError("not-found", { detail: "Nothing is remembered of this client: its limits are full." });
  return json(report);
}

/**
 * GET /admin/clients?by=ip&value=192.0.2.7: which handles a client has, and what each of its owners remembers. A handle
 * depends on how its limit keeps clients and where they were seen, so all that can exist are looked at.
 */
export async function findClients({ env, query }: AdminContext): Promise<Response> {
  const parts = identityOf(query.get("by"), query.get("value"));
  const book = addresses(namingSecret(env));
  const continents = parts[0] === "ip" ? [undefined, "AF", "AN", "AS", "EU", "NA", "OC", "SA"] : [undefined];
  const candidates = [
    ...continents.map((continent) => book.addressClient({ parts, clients: "pooled", continent })),
    book.addressClient({ parts, clients: "own", continent: undefined }),
  ];
  const reports = await Promise.all(candidates.map(async (candidate) => inspect(env, await candidate)));
  return json({ clients: reports.filter((report) => report !== null) });
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

async function inspect(env: Env, address: ObjectAddress): Promise<ClientView | null> {
  const report: Promise<ClientView | null> = ownerOf(env, address).inspect(address.client);
  return within(
    report,
    OWNER_MS,
    () =>
      new GatewayError("dependency-unavailable", {
        detail: `The client's owner did not answer within ${OWNER_MS} ms.`,
      }),
  );
}
