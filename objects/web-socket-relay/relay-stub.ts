import { ONE_TRY } from "../one-try.ts";
import type { SessionControl } from "./session-control.ts";

/** A relay object as operators reach it. */
export type RelayStub = DurableObjectStub<SessionControl & Rpc.DurableObjectBranded>;

type Relays = DurableObjectNamespace<SessionControl & Rpc.DurableObjectBranded>;

/** The bindings that reaching one needs. */
interface RelayEnv {
  readonly WEB_SOCKET_BRIDGE: Relays;
  readonly WEB_SOCKET_RELAY: Relays;
}

/** Of the local runtime, whose objects without storage go by any text and have no other methods (`ephemeralLocal` of workerd.capnp). */
type LocalRelays = Pick<Relays, never> & { get(name: string): RelayStub };

const NAME = /^[0-9a-f]{64}$/;
/** How local names begin, which no id does in 2^64: to ask by trying costs an exception for each order and each handshake. */
const LOCAL = "0".repeat(16);

/** The relay object with this id, as the registry lists it; throws when it cannot be the id of one. */
export function relayAt({ WEB_SOCKET_BRIDGE: bridges, WEB_SOCKET_RELAY: relays }: RelayEnv, object: string): RelayStub {
  if (!NAME.test(object)) throw new TypeError(`no id of a relay: ${object}`);
  if (isLocal(bridges)) {
    return object.startsWith(LOCAL) ? bridges.get(object) : relays.get(relays.idFromString(object), ONE_TRY);
  }
  const id = idIn(relays, object);
  return id === undefined ? bridges.get(bridges.idFromString(object), ONE_TRY) : relays.get(id, ONE_TRY);
}

/** Whether it is the id of an object that stores something: a session that sleeps goes by that. */
export function isKeeper({ WEB_SOCKET_RELAY: relays }: Pick<RelayEnv, "WEB_SOCKET_RELAY">, id: string): boolean {
  return idIn(relays, id) !== undefined;
}

/** The id of a new object for sessions of which nothing is stored: random, so no client can name one, and none is looked up around the world. */
export function newBridge({ WEB_SOCKET_BRIDGE: bridges }: Pick<RelayEnv, "WEB_SOCKET_BRIDGE">): string {
  return isLocal(bridges)
    ? LOCAL + (crypto.randomUUID() + crypto.randomUUID()).replaceAll("-", "").slice(LOCAL.length)
    : bridges.newUniqueId().toString();
}

/** An id says of which class it is, and is refused by all others. */
function idIn(relays: Relays, object: string): DurableObjectId | undefined {
  try {
    return relays.idFromString(object);
  } catch {
    return undefined;
  }
}

function isLocal(bridges: Relays | LocalRelays): bridges is LocalRelays {
  return !("newUniqueId" in bridges);
}
