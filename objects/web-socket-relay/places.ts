import { ONE_TRY } from "../one-try.ts";
import type { PermitMessage, PermitMessageReply } from "../rate-limiter/permits/permit-messages.ts";
import type { Opening, Place, Refusal } from "./opening.ts";

/** After a relay's death its places are free again within 110 s. */
const LEASE_MS = 60_000;
const OPERATION_MS = 50_000;
/** One that sleeps is awake every four minutes. */
const SLEEPERS_OPERATION_MS = 600_000;
/** Three tries before a place is lost. */
const KEEP_MS = 20_000;
/** An owner that nobody has used before takes a few hundred milliseconds to come to life. */
const CALL_MS = 1_000;

/** The places that a session takes among those that its client, its principal and its route may have. */
export interface Places {
  /** Takes all or none. An owner that is silent counts nothing, and keeps nobody out. */
  take(): Promise<Refusal | undefined>;
  /** Goes on holding them; to be called every ten seconds. Never rejects. */
  keep(now: number): Promise<void>;
  /** Gives them back. Never rejects. */
  leave(): Promise<void>;
}

/**
 * The places that a session is to have.
 *
 * @param how.isHeld whether it has them already, as one that was asleep. Default false.
 */
export function placesOf(
  { places, configVersion, session: id, callback }: Opening,
  env: Env,
  { isHeld = false }: { readonly isHeld?: boolean } = {},
): Places {
  let seq = 0;
  let askedAt = isHeld ? 0 : Date.now();
  let isRefused = false;
  const held = new Map<Place, number>(isHeld ? places.map((place) => [place, 1]) : []);

  async function ask(place: Place, keep: number, want: number): Promise<PermitMessageReply["items"][number]["reply"]> {
    const { owner, client, policy, most } = place;
    const terms = {
      permits: most,
      leaseMs: LEASE_MS,
      operationTimeoutMs: callback === undefined ? OPERATION_MS : SLEEPERS_OPERATION_MS,
    };
    const message: PermitMessage = {
      v: 1,
      configVersion,
      client,
      items: [{ policy, ...terms, ask: { id, seq, keep, want } }],
    };
    const stub = env.RATE_LIMITER.get(env.RATE_LIMITER.idFromName(owner), ONE_TRY);
    const { items } = await stub.permits(message);
    return items[0]?.reply ?? null;
  }

  async function askAll(list: readonly Place[], isLast: boolean): Promise<Refusal | undefined> {
    // By the clock: an owner hears nothing that is older than what it has heard, and who was asleep remembers nothing.
    seq = Math.max(seq + 1, Date.now());
    const asked = list.map(async (place): Promise<Refusal | undefined> => {
      try {
        const kept = isLast ? 0 : (held.get(place) ?? 0);
        const asking = ask(place, kept, isLast ? 0 : 1 - kept);
        const reply = await Promise.race([asking, scheduler.wait(CALL_MS)]);
        // What it grants when nobody waits for it any more is for nothing without the others, and would be kept for a lease.
        if (reply === undefined && !isLast) {
          void asking.then(() => (isRefused ? askAll([place], true) : undefined)).catch(() => undefined);
        }
        if (reply === null || reply === undefined || isLast) return undefined;
        held.set(place, Math.min(1, reply.counted));
        return reply.counted > 0 ? undefined : refusal(place);
      } catch {
        return undefined;
      }
    });
    return (await Promise.all(asked)).find((one) => one !== undefined);
  }

  return {
    async take() {
      const refused = await askAll(places, false);
      isRefused = refused !== undefined;
      if (isRefused) await askAll([...held.keys()], true);
      return refused;
    },
    async keep(now) {
      // A clock that was set back would be waited for.
      if (Math.abs(now - askedAt) < KEEP_MS) return;
      askedAt = now;
      await askAll(places, false);
    },
    async leave() {
      await askAll(places, true);
    },
  };
}

/** When a place becomes free nobody knows: a session lasts as long as it lasts. */
function refusal({ policy, most }: Place): Refusal {
  return {
    code: "too-many-connections",
    detail: `As many sessions are open as ${policy.split(":").at(-1)} allows: ${most}.`,
    retryAfter: "5",
    place: policy,
  };
}
