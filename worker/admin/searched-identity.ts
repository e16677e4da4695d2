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
  if (keys.length === 0) throw unknownKey("no by");
  if (keys.length !== values.length) throw unpaired(keys, values);
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
  throw unknownKey(`by=${key}`);
}

function networkIn(value: string): string {
  const address = parseAddress(value);
  if (address !== undefined) return networkOf(address);
  throw new GatewayError("invalid-request", { detail: `value: got ${JSON.stringify(value)}, wanted an IP address.` });
}

function unpaired(keys: readonly string[], values: readonly string[]): GatewayError {
  const detail = `Got ${keys.length} by and ${values.length} value, wanted a value after each by, and by=all alone without one.`;
  return new GatewayError("invalid-request", { detail });
}

function unknownKey(got: string): GatewayError {
  const detail =
    `Got ${got}, wanted by=ip, header:NAME, cookie:NAME, claim:NAME, route, principal or consumer with a value, ` +
    "no-header:NAME and the like with an address, or all alone.";
  return new GatewayError("invalid-request", { detail });
}
