import { addresses } from "../../objects/address.ts";
import type { RateLimiter } from "../../objects/rate-limiter/rate-limiter.ts";
import { GatewayError } from "../errors.ts";
import { namingSecret } from "../limits/client-address.ts";
import { ownerOf } from "../limits/owner.ts";
import { within } from "../within.ts";
import type { AdminContext } from "./index.ts";

/** An operator waits longer than a request does. */
const OWNER_MS = 2_000;

/**
 * The owner of a client, by the id that `pk` shows.
 *
 * @throws GatewayError `not-found` when the text cannot be one, before anything is asked or made.
 */
export async function ownerAt(
  id: string,
  { env }: Pick<AdminContext, "env">,
): Promise<{ readonly owner: DurableObjectStub<RateLimiter>; readonly client: string }> {
  const address = await addresses(namingSecret(env)).locateClient(id);
  if (address !== null) return { owner: ownerOf(env, address), client: address.client };
  throw new GatewayError("not-found", { detail: "This is no client id; take it from the pk of a RateLimit header." });
}

/** Waits for an owner's answer. @throws GatewayError `dependency-unavailable` after two seconds. */
export function ask<Reply>(answer: Promise<Reply>): Promise<Reply> {
  return within(answer, OWNER_MS, () => {
    return new GatewayError("dependency-unavailable", { detail: `The owner did not answer within ${OWNER_MS} ms.` });
  });
}
