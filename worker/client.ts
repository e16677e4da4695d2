import type { ClientIp } from "../schemas/index.ts";
import { createLru } from "../objects/lru.ts";
import { compileCidrs, parseAddress, type Address } from "../schemas/cidr.ts";

/** Who is at the other end of the connection, as far as the network tells. */
export interface Client {
  /** The client's address in canonical text: IPv4, or IPv6 (a v4-mapped one is its IPv4). */
  readonly address: string;
  /** What limits count as one client: the IPv4 address, or the /64 of an IPv6 one, which is what a subscriber gets. */
  readonly network: string;
  /** `X-Forwarded-For` for the origin: the client, then every trusted proxy it came through. */
  readonly forwardedFor: string;
  /** The scheme the client used, as far as trusted hops tell. */
  readonly scheme: "http" | "https";
}

/** Finds the client of a request, by the trust policy of the configuration. */
export type ClientReader = (request: Request, scheme: "http" | "https") => Client;

/**
 * Compiles the trust policy. `cloudflare` reads `CF-Connecting-IP`, which the edge sets; `socket` reads the peer of the
 * connection, which nobody can forge; a header is believed only from proxies that the configuration names, and then the
 * rightmost address that is none of them is the client. A wrong source is an error, never a bucket shared by everyone.
 *
 * @param source from the configuration, else from `CLIENT_IP_SOURCE`.
 * @param platform how the peer itself is known when `source` is a header.
 */
export function compileClientReader(source: ClientIp, platform: "cloudflare" | "socket"): ClientReader {
  if (source.source === "header") return behindProxies(source.header, source.trustedProxies, platform);
  const peerOf = source.source === "cloudflare" ? edgePeer : socketPeer;
  return (request, scheme) => {
    const { address, network } = peerOf(request);
    return { address, network, forwardedFor: address, scheme };
  };
}

interface Peer {
  readonly address: string;
  readonly network: string;
}

function edgePeer(request: Request): Peer {
  const told = request.headers.get("cf-connecting-ip");
  const peer = told === null ? undefined : readPeer(told);
  if (peer === undefined) {
    throw new Error(
      `clientIp is "cloudflare" but CF-Connecting-IP is ${told ?? "absent"}; off Cloudflare set CLIENT_IP_SOURCE to "socket"`,
    );
  }
  return peer;
}

function socketPeer(request: Request): Peer {
  // workerd puts the peer of a plain socket here as "ip:port"; a client cannot set it.
  const told = request.cf?.["clientIp"];
  const peer = typeof told === "string" ? readPeer(withoutPort(told)) : undefined;
  if (peer === undefined) {
    throw new Error(
      `clientIp is "socket" but the runtime gives no peer address (got ${JSON.stringify(told)}); on Cloudflare set CLIENT_IP_SOURCE to "cloudflare"`,
    );
  }
  return peer;
}

/** Addresses read lately: a connection's requests all come from the same one. */
const peers = createLru<string, Peer>(1000);

function readPeer(text: string): Peer | undefined {
  const known = peers.get(text);
  if (known !== undefined) return known;
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  const peer = { address: address.text, network: networkOf(address) };
  peers.set(text, peer);
  return peer;
}

/** What limits count as one client: an IPv4 address, or the /64 that an IPv6 address is in. */
export function networkOf({ version, words, text }: Address): string {
  if (version === 4) return text;
  return `${words
    .slice(0, 4)
    .map((word) => word.toString(16))
    .join(":")}::/64`;
}

function withoutPort(peer: string): string {
  const bracket = peer.indexOf("]");
  if (bracket !== -1) return peer.slice(1, bracket);
  const colon = peer.lastIndexOf(":");
  return colon === peer.indexOf(":") && colon !== -1 ? peer.slice(0, colon) : peer;
}

function behindProxies(
  header: string,
  trustedProxies: readonly string[],
  platform: "cloudflare" | "socket",
): ClientReader {
  const isTrusted = compileCidrs(trustedProxies);
  const peerOf = platform === "cloudflare" ? edgePeer : socketPeer;
  return (request, scheme) => {
    const peer = peerOf(request);
    let client = peer;
    const chain = [peer.address];
    const told = request.headers.get(header)?.split(",").toReversed() ?? [];
    for (const hop of told) {
      if (!isTrusted(client.address)) break;
      const previous = readPeer(withoutPort(hop.trim()));
      // A trusted proxy wrote something that is no address: the last hop that is known is all there is to go by.
      if (previous === undefined) break;
      client = previous;
      chain.unshift(client.address);
    }
    return {
      ...client,
      forwardedFor: chain.join(", "),
      scheme: isTrusted(peer.address) ? toldScheme(request, scheme) : scheme,
    };
  };
}

function toldScheme(request: Request, scheme: "http" | "https"): "http" | "https" {
  const told = request.headers.get("x-forwarded-proto");
  return told === "http" || told === "https" ? told : scheme;
}
