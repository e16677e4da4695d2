import type { Proof } from "../../support/proof.ts";
import { openSocket } from "../../support/web-socket/client.ts";
import { openMany } from "../../support/web-socket/crowds.ts";
import { median } from "../../support/web-socket/measure.ts";
import type { Peer } from "../../support/web-socket/peer.ts";
import { below, rows } from "../../support/web-socket/proofs.ts";
import { startRelayed, type Relayed } from "../../support/web-socket/relayed.ts";

const ROUNDS = 5;
/** Met by none of it. */
const HIGH = { bytesPerSecond: "100GiB", byteBurst: "100GiB" };
const MESSAGE = Buffer.alloc(64, "a");
const MESSAGES = 500;
/** More than the kernel keeps for somebody who reads nothing. */
const STALLING = { count: 64, bytes: 131_072 };

/** What one connection to the origin gives to many clients. */
export async function run(): Promise<readonly Proof[]> {
  const relayed = await startRelayed({
    fan: { fromUpstream: HIGH, sessionsPerAddress: false, shared: { between: "anyone" } },
  });
  try {
    const proofs = [
      ...(await rows("deliveries to 100 clients", () => deliveries(relayed))),
      ...(await rows("a message to 500 clients", () => toMany(relayed))),
    ];
    const dials = relayed.origin.seen.length;
    return [...proofs, below("connections to the origin for 600 clients in two rooms", 2, dials, "")];
  } finally {
    await relayed.stop();
  }
}

interface Room {
  readonly clients: readonly Peer[];
  readonly source: Peer;
}

async function roomOf({ gateway, origin }: Relayed, name: string, count: number): Promise<Room> {
  const clients = await openMany(count, () => openSocket(gateway.url, { path: `/fan/held?${name}` }));
  for (const client of clients) client.countOnly();
  return { clients, source: await origin.accept(name) };
}

/** Until each of some clients has so many messages, in ms. */
async function delivered(clients: readonly Peer[], source: Peer, messages: number, message = MESSAGE): Promise<number> {
  const wanted = clients.map((client) => client.received + messages * message.length);
  const began = performance.now();
  for (let n = 0; n < messages; n++) source.binary(message);
  await Promise.all(clients.map((client, at) => client.receive(wanted[at] ?? 0)));
  return performance.now() - began;
}

async function deliveries(relayed: Relayed): Promise<readonly Proof[]> {
  const { clients, source } = await roomOf(relayed, "many", 100);
  const free: number[] = [];
  const beside: number[] = [];
  const rate = (count: number, ms: number) => (count * MESSAGES * 1_000) / ms;
  for (let round = 0; round < ROUNDS; round++) free.push(rate(100, await delivered(clients, source, MESSAGES)));
  const [stalled, ...others] = clients;
  stalled?.socket.pause();
  await delivered(others, source, STALLING.count, Buffer.alloc(STALLING.bytes));
  const before = stalled?.socket.bytesRead ?? 0;
  for (let round = 0; round < ROUNDS; round++) beside.push(rate(99, await delivered(others, source, MESSAGES)));
  const isStalled = stalled?.socket.bytesRead === before && !stalled.isEnded;
  for (const client of clients) client.destroy();
  return [
    atLeast("deliveries a second to 100 clients over one connection", free, true),
    atLeast("deliveries a second to 99 clients beside one that reads nothing", beside, isStalled),
  ];
}

function atLeast(promise: string, rates: readonly number[], isMeant: boolean): Proof {
  const rate = median(rates);
  return {
    promise,
    bound: ">= 25000",
    figure: `${rate.toFixed(0)}; ${rates.map((one) => one.toFixed(0)).join(", ")}`,
    pass: isMeant && rate >= 25_000,
  };
}

async function toMany(relayed: Relayed): Promise<readonly Proof[]> {
  const { clients, source } = await roomOf(relayed, "crowd", 500);
  const taken: number[] = [];
  for (let round = 0; round < ROUNDS; round++) taken.push(await delivered(clients, source, 1));
  for (const client of clients) client.destroy();
  const all = taken.map((ms) => ms.toFixed(0)).join(", ");
  return [below("ms until 500 clients have a message of the origin", 150, median(taken), `; ${all}`)];
}
