import { ONE_TRY } from "../one-try.ts";
import type { SessionControl } from "./session-control.ts";

/** A relay object as operators reach it, by the id that the registry lists. */
export type RelayStub = DurableObjectStub<SessionControl & Rpc.DurableObjectBranded>;

/** The bindings that reaching one needs. */
export interface RelayEnv {
  readonly SOCKET_REGISTRY: unknown;
  readonly WEB_SOCKET_RELAY?: DurableObjectNamespace<SessionControl & Rpc.DurableObjectBranded>;
}

/** The relay object with this id; throws when it cannot be the id of one. */
export function relayAt({ WEB_SOCKET_RELAY }: RelayEnv, object: string): RelayStub {
  if (WEB_SOCKET_RELAY === undefined) throw new Error("WEB_SOCKET_RELAY is not bound");
  return WEB_SOCKET_RELAY.get(WEB_SOCKET_RELAY.idFromString(object), ONE_TRY);
}
