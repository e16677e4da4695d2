import type { ObjectAddress } from "../../objects/address.ts";
import type { RefundMessage } from "../../objects/rate-limiter/messages.ts";
import type { RateLimiter } from "../../objects/rate-limiter/rate-limiter.ts";
import { createDependency, ONE_TRY, type CallOptions } from "../dependencies/dependency.ts";

/** A continent's pool has 256. */
const owners = createDependency({ kind: "RateLimiter", remembers: 512 });

/** Off the request's path. */
const REFUND_MS = 1_000;

/** Makes one call to an owner, behind the breaker of this isolate: see `Dependency.call`. */
export function callOwner<Reply>(
  { name }: ObjectAddress,
  call: () => Promise<Reply>,
  options: CallOptions,
): Promise<Reply> {
  return owners.call(name, call, options);
}

/** Whether a call to this owner would reject at once now. */
export function isLeftAlone({ name }: ObjectAddress, now: number): boolean {
  return owners.isLeftAlone(name, now);
}

/** Why an owner is not asked; always the same value. */
export function leftAlone(): Error {
  return owners.leftAlone();
}

/** Gives tokens back to an owner, off the request's path; a message that is lost only loses tokens. */
export async function refundOwner(env: Env, address: ObjectAddress, message: RefundMessage): Promise<void> {
  await callOwner(address, () => ownerOf(env, address).refund(message), { deadlineMs: REFUND_MS });
}

/** The stub of a client's owner, with one try per call. */
export function ownerOf(env: Env, address: ObjectAddress): DurableObjectStub<RateLimiter> {
  const namespace = env.RATE_LIMITER;
  const hint = address.locationHint === undefined ? {} : { locationHint: address.locationHint };
  return namespace.get(namespace.idFromName(address.name), { ...hint, ...ONE_TRY });
}
