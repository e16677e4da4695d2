import type { ObjectAddress } from "../../objects/address.ts";
import { createLru } from "../../objects/lru.ts";
import type { RefundMessage } from "../../objects/rate-limiter/messages.ts";
import type { RateLimiter } from "../../objects/rate-limiter/rate-limiter.ts";
import { within } from "../within.ts";
import { afterFailure, mayCall, type OwnerHealth } from "./owner-health.ts";

/**
 * The runtime would retry a failed call up to five times over ten seconds; a request waits 150 ms. An overloaded owner
 * is never asked again: the call that failed was already one too many.
 */
const ONE_TRY = { retry: { maxRetries: 0 } };

/** Failing owners remembered at once. A continent's pool has 256. */
const MAX_FAILING = 512;
const failing = createLru<string, OwnerHealth>(MAX_FAILING);

let notAsked: Error | undefined;

/** Gives tokens back to an owner, off the request's path; a message that is lost only loses tokens. */
export async function refundOwner(env: Env, address: ObjectAddress, message: RefundMessage): Promise<void> {
  await ownerOf(env, address).refund(message);
}

/** How long a call may take, and what its silence means. */
export interface CallOptions {
  readonly deadlineMs: number;
  /** Whether silence until the deadline counts against the owner: it may have been given less time than usual. Default always. */
  readonly countsLate?: () => boolean;
  /** Told of a failure that counts: against whom? Default: against who was called. */
  readonly blame?: (error: unknown) => ObjectAddress;
}

/**
 * Makes one call to an owner that a request waits for. Never made again, whatever the failure; after three within a second
 * the owner is left alone for 1 to 5 s, in which calls reject at once.
 */
export async function callOwner<Reply>(
  address: ObjectAddress,
  call: () => Promise<Reply>,
  { deadlineMs, countsLate, blame }: CallOptions,
): Promise<Reply> {
  const { name } = address;
  const known = failing.get(name);
  if (known !== undefined) {
    const health = mayCall(known, Date.now());
    if (health === undefined) throw leftAlone();
    failing.set(name, health);
  }
  let isLate = false;
  function late(): Error {
    isLate = true;
    return new Error(`RateLimiter did not answer within ${deadlineMs} ms`);
  }
  try {
    const reply = await within(call(), deadlineMs, late);
    failing.delete(name);
    return reply;
  } catch (error) {
    // Whoever refuses a message is alive, and the next client's message may be a good one.
    const isAlive = error instanceof TypeError || (isLate && countsLate?.() === false);
    if (isAlive) throw error;
    const { name: blamed } = blame?.(error) ?? address;
    failing.set(blamed, afterFailure(failing.get(blamed), isOverloaded(error), Date.now()));
    throw error;
  }
}

/** Whether a call to this owner would reject at once now. */
export function isLeftAlone({ name }: ObjectAddress, now: number): boolean {
  const health = failing.size === 0 ? undefined : failing.get(name);
  return health !== undefined && now < health.pausedUntil;
}

/** Why an owner is not asked. One value: while an owner is dead, each request meets it, and a stack costs more than the rest. */
export function leftAlone(): Error {
  notAsked ??= new Error("RateLimiter is not asked: its last calls failed");
  return notAsked;
}

/** The stub of a client's owner, with one try per call. */
export function ownerOf(env: Env, address: ObjectAddress): DurableObjectStub<RateLimiter> {
  const namespace = env.RATE_LIMITER;
  const hint = address.locationHint === undefined ? {} : { locationHint: address.locationHint };
  return namespace.get(namespace.idFromName(address.name), { ...hint, ...ONE_TRY });
}

/** As the runtime marks it: the object has more calls waiting than it can take. */
function isOverloaded(error: unknown): boolean {
  return error instanceof Error && "overloaded" in error && error.overloaded === true;
}
