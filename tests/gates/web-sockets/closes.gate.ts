import type { Proof } from "../../support/proof.ts";
import { FORBIDDEN, SENDABLE } from "../../support/web-socket/conformance.ts";
import { OPCODES, readClose } from "../../support/web-socket/frames.ts";
import type { Peer } from "../../support/web-socket/peer.ts";
import { below, each, RELAYS, rows, start } from "../../support/web-socket/proofs.ts";
import type { Relayed } from "../../support/web-socket/relayed.ts";

type Mode = (typeof RELAYS)[number];
const SIDES = ["client", "upstream"] as const;
const REASON = "grüße, 世界";
const MOST_MS = 100;

/** Close codes, and connections that are lost: what the other side is told, and how soon. */
export async function run(): Promise<readonly Proof[]> {
  const relayed = await start();
  try {
    const proofs: Proof[] = [];
    for (const mode of RELAYS) {
      // What the first session of a process finds in its way is no part of a close.
      destroy(await relayed.open(mode));
      proofs.push(...(await rows(`${mode}: close codes`, () => codes(relayed, mode))));
      proofs.push(...(await rows(`${mode}: losses`, () => losses(relayed, mode))));
    }
    return [...proofs, ...(await rows("reserved codes", () => reserved(relayed)))];
  } finally {
    await relayed.stop();
  }
}

async function codes(relayed: Relayed, mode: Mode): Promise<readonly Proof[]> {
  const wrong: string[] = [];
  const taken: number[] = [];
  const wanted = [...SENDABLE.map((code) => ({ code, reason: REASON })), { code: 1005, reason: "" }];
  for (const side of SIDES) {
    for (const { code, reason } of wanted) {
      const { closer, other, ends } = await openFor(relayed, mode, side);
      const heard = other.behave().next();
      const began = performance.now();
      closer.behave().close(code === 1005 ? undefined : code, reason);
      await heard;
      taken.push(performance.now() - began);
      // An origin ends its connection after a Close both ways; a client's does so then.
      const [told, answered] = [await other.ended(), await closer.ended()];
      const isExact = told.code === code && told.reason === reason && answered.code === code;
      if (!isExact) wrong.push(`${code} from the ${side}: told ${told.code} ${told.reason}, answered ${answered.code}`);
      destroy(ends);
    }
  }
  return [
    each(`${mode}: closes of either side, 15 codes with reasons and none, that come exact`, 2 * wanted.length, wrong),
    below(`${mode}: ms until the other side has a Close frame, at most`, MOST_MS, Math.max(...taken), ""),
  ];
}

async function losses(relayed: Relayed, mode: Mode): Promise<readonly Proof[]> {
  const taken: number[] = [];
  for (const side of SIDES) {
    for (const how of ["fin", "reset"] as const) {
      for (let n = 0; n < 10; n++) {
        const { closer, other, ends } = await openFor(relayed, mode, side);
        const ended = other.behave().ended();
        const began = performance.now();
        if (how === "fin") closer.finish();
        else closer.reset();
        await ended;
        taken.push(performance.now() - began);
        destroy(ends);
      }
    }
  }
  const slowest = Math.max(...taken);
  return [below(`${mode}: ms until the other side knows of a FIN or a reset, at most`, MOST_MS, slowest, " of 40")];
}

/** What is said through a bridge when a side says what it may not, or nothing any more. */
async function reserved(relayed: Relayed): Promise<readonly Proof[]> {
  const wrong: string[] = [];
  let closes = 0;
  for (const side of SIDES) {
    for (const way of [...FORBIDDEN, "fin", "reset"] as const) {
      const { closer, other, ends } = await openFor(relayed, "bridge", side);
      other.behave();
      if (way === "fin") closer.finish();
      else if (way === "reset") closer.reset();
      else closer.behave().close(way);
      await other.ended();
      if (typeof way === "number") await closer.ended();
      for (const peer of [closer, other]) {
        const close = peer.frames.find(({ opcode }) => opcode === OPCODES.close);
        if (close === undefined) continue;
        closes += 1;
        // 1005 is how an empty Close frame reads: one that says 1005 has two bytes.
        const isEmpty = close.payload.length === 0;
        if (!isEmpty && !SENDABLE.includes(readClose(close).code)) wrong.push(`${way} of the ${side}`);
      }
      destroy(ends);
    }
  }
  return [each("bridge: Close frames after reserved codes and losses, none with a reserved code", closes, wrong)];
}

interface Opened {
  readonly closer: Peer;
  readonly other: Peer;
  readonly ends: { readonly client: Peer; readonly upstream: Peer };
}

async function openFor(relayed: Relayed, mode: Mode, side: (typeof SIDES)[number]): Promise<Opened> {
  const ends = await relayed.open(mode);
  const { client, upstream } = ends;
  return side === "client" ? { closer: client, other: upstream, ends } : { closer: upstream, other: client, ends };
}

function destroy({ client, upstream }: Opened["ends"]): void {
  client.destroy();
  upstream.destroy();
}
