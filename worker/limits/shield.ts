import { createLru } from "../../objects/lru.ts";
import { GatewayError } from "../errors.ts";
import { within } from "../within.ts";

/** The binding answers on the machine that it is asked on; whatever takes longer is a failure of it. */
const SHIELD_MS = 50;
/** The shorter of the two periods that the binding can have; which one it has cannot be read from it. */
const RETRY_AFTER_S = 10;
/** Clients that passed lately and are not looked at again. */
const MAX_KNOWN = 1_000;
/** A broken binding is told once in this time, not once a request. */
const TELL_MS = 60_000;

const known = createLru<string, true>(MAX_KNOWN);
let toldAt = -Infinity;

/**
 * Counts clients that this isolate has not met against the address they come from, before their owner is asked for the first
 * time: who makes up identities is stopped here, before each of them costs a call and a row. Needs the rate-limit binding
 * `SHIELD`; without it, and for a client that has passed, undefined: go on at once.
 *
 * Permissive by the platform's own words: each location counts for itself and late, so several times its limit may pass. It
 * protects owners and counts nobody's quota. When the binding fails or is slow, everyone passes.
 *
 * @param client the handle that is about to be asked about.
 * @param network the address, or the /64, that it comes from.
 * @throws GatewayError `quota-exceeded` when the address has brought too many new clients.
 */
export function passShield(env: Pick<Env, "SHIELD">, client: string, network: string): Promise<void> | undefined {
  const { SHIELD } = env;
  if (SHIELD === undefined || known.get(client) === true) return undefined;
  return ask(SHIELD, client, network);
}

async function ask(shield: RateLimit, client: string, network: string): Promise<void> {
  if (await refuses(shield, network)) {
    throw new GatewayError("quota-exceeded", {
      detail: `Too many new clients come from this address; come back in ${RETRY_AFTER_S} s.`,
      headers: { "retry-after": String(RETRY_AFTER_S) },
    });
  }
  known.set(client, true);
}

async function refuses(shield: RateLimit, network: string): Promise<boolean> {
  try {
    const late = () => new Error(`SHIELD did not answer within ${SHIELD_MS} ms`);
    const { success } = await within(shield.limit({ key: network }), SHIELD_MS, late);
    return !success;
  } catch (error) {
    tell(error, Date.now());
    return false;
  }
}

function tell(error: unknown, now: number): void {
  if (now - toldAt < TELL_MS) return;
  toldAt = now;
  const reason = error instanceof Error ? error.message : String(error);
  console.warn(JSON.stringify({ level: "warn", message: "shield failed, everyone passes", error: reason }));
}
