import { compileCidrs, parseAddress } from "../cidr.ts";

/**
 * Blocks that never name a public server (IANA special-purpose registries), and those that carry an IPv4 address inside
 * (NAT64, 6to4, Teredo), which would smuggle a private one past a reader of the outside.
 */
const NON_PUBLIC = [
  ["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  [
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
  ],
  ["::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16"],
  ["3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"],
].flat();

const isNonPublic = compileCidrs(NON_PUBLIC);

// RFC 6761 and RFC 6762 names, the home network's (RFC 8375), and ICANN's reserved .internal with the clouds' metadata servers.
const PRIVATE_NAME = /^(?:.*\.)?(?:localhost|localdomain|local|internal|intranet|lan|home\.arpa)$/;

/**
 * Whether a URL's host, as the WHATWG parser writes it, is private, loopback, link-local or otherwise not on the public
 * internet. Every IPv4 form (`2130706433`, `0x7f.1`, `127.1`) is dotted decimal by then; a v4-mapped IPv6 address
 * counts as non-public whatever it maps. A public name that resolves to a private address cannot be told from here.
 */
export function isPrivateHost(hostname: string): boolean {
  const bare = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  const address = parseAddress(bare);
  if (address !== undefined) return (address.version === 4 && bare.includes(":")) || isNonPublic(address.text);
  return PRIVATE_NAME.test(bare.replace(/\.+$/, "").toLowerCase());
}
