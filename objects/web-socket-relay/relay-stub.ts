import { ONE_TRY } from "../one-try.ts";
import type { SessionControl } from "./session-control.ts";

/** A relay object as operators reach it. */
export type RelayStub = DurableObjectStub<SessionControl & Rpc.DurableObjectBranded>;

/** The binding that reaching one needs. */
interface RelayEnv {
  readonly WEB_SOCKET_RELAY: DurableObjectNamespace<SessionControl & Rpc.DurableObjectBranded>;
}

/** The relay object with this id, as the registry lists it; throws when it cannot be the id of one. */
export function relayAt({ WEB_SOCKET_RELAY }: RelayEnv, object: string): RelayStub {
  return WEB_SOCKET_RELAY.get(WEB_SOCKET_RELAY.idFromString(object), ONE_TRY);
}
