import { openSocket } from "./client.ts";
import type { Peer, PeerEnd } from "./peer.ts";
import { eventually, type Relayed } from "./relayed.ts";

/** More at once, and the machine is busy with their handshakes. */
const AT_ONCE = 20;

/** Opens so many sessions, some at a time. */
export async function openMany(count: number, open: (index: number) => Promise<Peer>): Promise<readonly Peer[]> {
  const peers: Peer[] = [];
  for (let n = 0; n < count; n += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - n) }, (_, index) => open(n + index));
    peers.push(...(await Promise.all(some)));
  }
  return peers;
}

/** So many sessions that are listed, by `query` where there are others. */
export async function crowd(
  relayed: Relayed,
  count: number,
  { headers = {}, query = "" }: { headers?: Record<string, string>; query?: string } = {},
): Promise<readonly Peer[]> {
  const path = "/bridge/echo";
  const peers = await openMany(count, () => openSocket(relayed.gateway.url, { path, headers }));
  await eventually("all of them", async () => (await listed(relayed, query)) >= count || undefined);
  return peers;
}

/** Each says something to an origin that echoes, and hears it. */
export async function speak(peers: readonly Peer[]): Promise<void> {
  const heard = peers.map((peer) => peer.hear());
  for (const peer of peers) peer.text("here");
  await Promise.all(heard);
}

/** How many sessions are listed, of those that match. */
export async function listed(relayed: Relayed, query = ""): Promise<number> {
  const told: { matched: number } = JSON.parse(
    JSON.stringify(await relayed.admin("GET", `sockets?limit=1${query && `&${query}`}`)),
  );
  return told.matched;
}

/** How all of some sessions ended, and when, in ms after `order` was given. */
export async function endsOf(
  peers: readonly Peer[],
  order: () => Promise<unknown>,
): Promise<readonly (PeerEnd & { readonly at: number })[]> {
  let began = 0;
  const ends = peers.map(async (peer) => {
    const end = await peer.behave().ended();
    return { ...end, at: performance.now() - began };
  });
  began = performance.now();
  await order();
  return Promise.all(ends);
}
