import { parseAddress } from "../../schemas/cidr.ts";
import { networkOf } from "../client.ts";
import { GatewayError } from "../errors.ts";

/** Whom an operator looks for, as limits name clients. */
export interface SearchedIdentity {
  readonly parts: readonly string[];
  /** Such a client may be counted on each continent that it was seen on. */
  readonly holdsAddress: boolean;
}

const NAMED = /^(?:cookie|claim):.+$|^(?:route|principal|consumer)$/;

/**
 * Reads `by` and `value`, in pairs and in the order of the limit where its keys are composed: `by=header:x-tenant&value=t1&
 * by=ip&value=192.0.2.7`. A client that did not send what it is told apart by is found by `by=no-header:x-tenant` and its
 * address. `by=all` has no value.
 *
 * @throws GatewayError `invalid-request` when that makes no identity.
 */
export function searchedIdentity(query: URLSearchParams): SearchedIdentity {
  const [keys, values] = [query.getAll("by"), query.getAll("value")];
  if (keys.length === 1 && keys[0] === "all" && values.length === 0) return { parts: ["all", ""], holdsAddress: false };
  if (keys.length === 0 || keys.length !== values.length) throw wanted();
  const parts: string[] = [];
  let holdsAddress = false;
  for (const [index, key] of keys.entries()) {
    const value = values[index] ?? "";
    const isAddress = key === "ip" || key.startsWith("no-");
    holdsAddress ||= isAddress;
    parts.push(nameOf(key), isAddress ? networkIn(value) : value);
  }
  return { parts, holdsAddress };
}

function nameOf(key: string): string {
  const bare = key.startsWith("no-") ? key.slice("no-".length) : key;
  if (key === "ip" || NAMED.test(bare)) return key;
  // Names of header fields are the same in any case; those of cookies and claims are not.
  if (/^header:.+$/.test(bare)) return key.toLowerCase();
  throw wanted();
}

function networkIn(value: string): string {
  const address = parseAddress(value);
  if (address !== undefined) return networkOf(address);
  throw new GatewayError("invalid-request", { detail: `value is ${JSON.stringify(value)}, wanted an IP address.` });
}

function wanted(): GatewayError {
  return new GatewayError("invalid-request", {
    detail:
      "Wanted by=ip, header:NAME, cookie:NAME, claim:NAME, route, principal or consumer, each with a value, or by=all alone.",
  });
}
