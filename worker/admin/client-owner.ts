import { addresses, type ObjectAddress } from "../../objects/address.ts";
import type { RateLimiter } from "../../objects/rate-limiter/rate-limiter.ts";
import { GatewayError } from "../errors.ts";
import { namingSecret } from "../limits/client-address.ts";
import { callOwner, ownerOf } from "../limits/owner.ts";
import type { AdminContext } from "./index.ts";

/** An operator waits longer than a request does. */
const OWNER_MS = 2_000;

/** The owner of a client, as an operator asks it. */
export interface ClientOwner {
  readonly client: string;
  /** See `askOwner`. */
  readonly ask: <Reply>(question: (owner: DurableObjectStub<RateLimiter>) => Promise<Reply>) => Promise<Reply>;
}

/**
 * The owner of a client, by the id that `pk` shows.
 *
 * @throws GatewayError `not-found` when the text cannot be one, before anything is asked or made.
 */
export async function ownerAt(id: string, { env }: Pick<AdminContext, "env">): Promise<ClientOwner> {
  const address = await addresses(namingSecret(env)).locateClient(id);
  if (address !== null) return { client: address.client, ask: (question) => askOwner(env, address, question) };
  throw new GatewayError("not-found", { detail: "This is no client id; take it from the pk of a RateLimit header." });
}

/** Asks an object. @throws GatewayError `dependency-unavailable` when it says nothing for two seconds, or fails. */
export async function askOwner<Reply>(
  env: Env,
  address: ObjectAddress,
  question: (owner: DurableObjectStub<RateLimiter>) => Promise<Reply>,
): Promise<Reply> {
  try {
    return await callOwner(address, () => question(ownerOf(env, address)), { deadlineMs: OWNER_MS });
  } catch (error) {
    // It refused what it was told, which is the gateway's own mistake.
    if (error instanceof TypeError) throw error;
    const problem = error instanceof Error ? error.message : String(error);
    throw new GatewayError("dependency-unavailable", {
      detail: `The owner of these counters did not answer: ${problem}.`,
      headers: { "retry-after": "1" },
      cause: error,
    });
  }
}
