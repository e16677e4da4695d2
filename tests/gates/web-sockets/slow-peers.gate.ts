import { peakGrowth } from "../../support/peak-memory.ts";
import type { Proof } from "../../support/proof.ts";
import type { Peer } from "../../support/web-socket/peer.ts";
import { below, each, open, rows, start, within } from "../../support/web-socket/proofs.ts";
import type { Relayed } from "../../support/web-socket/relayed.ts";

const TOTAL = 187 * 2 ** 20;
const SIDES = ["client", "upstream"] as const;
/** Other sessions, meanwhile. */
const OTHERS = 10;
/** How often the sender of a splice may find nothing taken before it counts as held back. */
const STUCK_MS = 500;

/** 187 MiB for a peer that reads nothing, each way and in both modes, in a fresh process each. */
export async function run(): Promise<readonly Proof[]> {
  const proofs: Proof[] = [];
  for (const mode of ["splice", "bridge"] as const) {
    for (const from of SIDES) {
      const relayed = await start();
      try {
        proofs.push(...(await rows(`${mode}: 187 MiB from the ${from}`, () => flood(relayed, mode, from))));
      } finally {
        await relayed.stop();
      }
    }
  }
  return proofs;
}

async function flood(
  relayed: Relayed,
  mode: "splice" | "bridge",
  from: (typeof SIDES)[number],
): Promise<readonly Proof[]> {
  const ends = await relayed.open(mode === "splice" ? "splice" : "usual");
  const [sender, taker] = [ends[from], from === "client" ? ends.upstream : ends.client];
  // Of a splice no JavaScript runs, and theirs would count.
  const others = await Promise.all(
    Array.from({ length: mode === "splice" ? 0 : OTHERS }, () => open(relayed, "bridge")),
  );
  const stop = new AbortController();
  const talk = others.map((other) => speak(other, stop.signal));
  taker.socket.pause();
  taker.countOnly();
  let flooded: Promise<void> | undefined;
  const grown = await peakGrowth(relayed.gateway.workerdPid, async () => {
    flooded = (mode === "splice" ? sender : sender.behave()).flood(TOTAL, 2 ** 17);
    // Whoever takes it all and never closes has it in memory then.
    await (mode === "splice" ? stuck(sender) : Promise.race([sender.ended(), flooded]));
  });
  const proofs = [
    below(
      `${mode}: MiB grown at most by 187 MiB from the ${from} that nobody reads`,
      mode === "splice" ? 8 : 32,
      grown / 2 ** 20,
      "",
    ),
  ];
  if (mode === "splice") proofs.push(await delivered(from, taker, flooded));
  else {
    proofs.push(await closed(from, sender, taker));
    stop.abort();
    const spoken = await Promise.all(talk);
    const lost = spoken.flatMap(({ isWhole }, index) => (isWhole ? [] : [`session ${index}`]));
    const said = spoken.reduce((sum, { count }) => sum + count, 0);
    const row = each(`bridge: other sessions that lose nothing meanwhile, from the ${from}`, OTHERS, lost);
    proofs.push({ ...row, figure: `${row.figure}; ${said} messages` });
  }
  for (const peer of [sender, taker, ...others]) peer.destroy();
  return proofs;
}

/** That backpressure holds a sender back is no event: what it has written must stay the same for a while. */
async function stuck(sender: Peer): Promise<void> {
  for (let before = -1; before !== taken(sender);) {
    before = taken(sender);
    await new Promise((resolve) => setTimeout(resolve, STUCK_MS));
  }
}

function taken({ socket }: Peer): number {
  return socket.bytesWritten - socket.writableLength;
}

async function delivered(from: string, taker: Peer, flooded: Promise<void> | undefined): Promise<Proof> {
  taker.socket.resume();
  await Promise.all([flooded, taker.receive(TOTAL)]);
  return {
    promise: `splice: of it delivered when it is read after all, from the ${from}`,
    bound: "100 %",
    figure: `${((100 * taker.received) / TOTAL).toFixed(0)} %`,
    pass: taker.received === TOTAL,
  };
}

async function closed(from: string, sender: Peer, taker: Peer): Promise<Proof> {
  taker.socket.resume();
  const codeOf = (peer: Peer) =>
    within("a close", peer.behave().ended(), 10_000).then(
      ({ code }) => String(code),
      () => "nothing",
    );
  const codes = await Promise.all([sender, taker].map(codeOf));
  return {
    promise: `bridge: what sender and reader are told, from the ${from}`,
    bound: "1013, 1013",
    figure: codes.join(", "),
    pass: codes.every((code) => code === "1013"),
  };
}

/** Says one numbered message after the other to an echo, until it is told to stop. */
async function speak(peer: Peer, signal: AbortSignal): Promise<{ readonly count: number; readonly isWhole: boolean }> {
  let count = 0;
  let isWhole = true;
  // At least so many, however soon the flood is over.
  while ((!signal.aborted || count < 100) && isWhole) isWhole = await echoed(peer, (count += 1));
  return { count, isWhole };
}

async function echoed(peer: Peer, n: number): Promise<boolean> {
  peer.text(String(n));
  const heard = await within("an echo", peer.hear(), 10_000).catch(() => undefined);
  return heard?.kind === "text" && heard.text === String(n);
}
