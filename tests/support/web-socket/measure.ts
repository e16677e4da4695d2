import { readFileSync } from "node:fs";
import type { Peer } from "./peer.ts";

/** Echoes one message after the other; the round trips in us, sorted. */
export async function roundTrips(peer: Peer, times: number): Promise<readonly number[]> {
  const message = Buffer.alloc(64, "a");
  const taken: number[] = [];
  peer.countOnly();
  for (let n = 0; n < times; n++) {
    const began = performance.now();
    const wanted = peer.received + message.length;
    peer.binary(message);
    await peer.receive(wanted);
    taken.push((performance.now() - began) * 1_000);
  }
  return taken.toSorted((a, b) => a - b);
}

/** Echoes with so many messages of a size in flight, for so long: messages a second. */
export async function echoes(
  peer: Peer,
  { size, inFlight, ms }: { size: number; inFlight: number; ms: number },
): Promise<number> {
  const message = Buffer.alloc(size, "a");
  peer.countOnly();
  let echoed = 0;
  let pending = inFlight;
  const began = performance.now();
  const { promise, resolve } = Promise.withResolvers<void>();
  peer.onFrame = () => {
    echoed += 1;
    if (performance.now() - began < ms) return void peer.binary(message);
    pending -= 1;
    if (pending === 0) resolve();
  };
  for (let n = 0; n < inFlight; n++) peer.binary(message);
  await promise;
  peer.onFrame = undefined;
  return (echoed * 1_000) / (performance.now() - began);
}

/** The middle one. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Resident memory of a process, in KiB. */
export function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN);
}
