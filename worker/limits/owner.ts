import type { RefundMessage, TakeMessage, TakeReply } from "../../objects/rate-limiter/messages.ts";
import type { ObjectAddress } from "../../objects/address.ts";
import type { RateLimiter } from "../../objects/rate-limiter/rate-limiter.ts";
import { within } from "../within.ts";

/**
 * The runtime would retry a failed call up to five times over ten seconds; a request waits 150 ms. An overloaded owner
 * is never asked again: the call that failed was already one too many.
 */
const ONE_TRY = { retry: { maxRetries: 0 } };

/** Asks a client's owner for tokens. Rejects when it fails or does not answer within `deadlineMs`. */
export async function askOwner(
  env: Env,
  address: ObjectAddress,
  message: TakeMessage,
  deadlineMs: number,
): Promise<TakeReply> {
  const stub = ownerOf(env, address);
  const reply: Promise<TakeReply> = stub.take(message);
  return within(reply, deadlineMs, () => new Error(`RateLimiter did not answer within ${deadlineMs} ms`));
}

/** Gives tokens back to an owner, off the request's path; a message that is lost only loses tokens. */
export async function refundOwner(env: Env, address: ObjectAddress, message: RefundMessage): Promise<void> {
  await ownerOf(env, address).refund(message);
}

/** The stub of a client's owner, with one try per call. */
export function ownerOf(env: Env, address: ObjectAddress): DurableObjectStub<RateLimiter> {
  const namespace = env.RATE_LIMITER;
  const hint = address.locationHint === undefined ? {} : { locationHint: address.locationHint };
  return namespace.get(namespace.idFromName(address.name), { ...hint, ...ONE_TRY });
}
