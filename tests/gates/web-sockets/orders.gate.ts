import type { Proof } from "../../support/proof.ts";
import { crowd, endsOf, listed, speak } from "../../support/web-socket/crowds.ts";
import { below, each, rows, start } from "../../support/web-socket/proofs.ts";
import type { Peer } from "../../support/web-socket/peer.ts";
import { eventually, type Relayed } from "../../support/web-socket/relayed.ts";

const MOST = 500;
const DRAIN_MS = 5_000;

/** What an operator orders of five hundred sessions at once. */
export async function run(): Promise<readonly Proof[]> {
  // Says whose a session is, which the shipped Worker knows from credentials.
  const relayed = await start("tests/support/relay-entry.ts");
  try {
    return [
      ...(await rows("broadcast and kick", () => broadcastAndKick(relayed))),
      ...(await rows("kick of the silent", () => kickSilent(relayed))),
      ...(await rows("revoke", () => revoke(relayed))),
      ...(await rows("drain", () => drain(relayed))),
    ];
  } finally {
    await relayed.stop();
  }
}

/** Neither has been done before in this process. */
async function broadcastAndKick(relayed: Relayed): Promise<readonly Proof[]> {
  const peers = await crowd(relayed, MOST);
  const heard = peers.map((peer) => peer.hear());
  const began = performance.now();
  await relayed.say("sockets/broadcast?all=true", "hello");
  const texts = await Promise.all(heard);
  const ms = performance.now() - began;
  const others = texts.filter((one) => one.kind !== "text" || one.text !== "hello").map(({ kind }) => kind);
  await speak(peers);
  const ends = await kick(peers, relayed);
  return [
    each(`sessions of ${MOST} that hear a broadcast`, MOST, others),
    below(`ms until ${MOST} sessions have a broadcast`, 150, ms, ""),
    ...closed("kicked", ends, 4000),
    await nothingLeft("kick", relayed),
  ];
}

/** Of a client that has never said anything the runtime ends the connection by ten exceptions, one after the other, which is a third of the time. */
async function kickSilent(relayed: Relayed): Promise<readonly Proof[]> {
  const ends = await kick(await crowd(relayed, MOST), relayed);
  return [
    ...closed("kicked, and have never said anything,", ends, 4000),
    await nothingLeft("kick of the silent", relayed),
  ];
}

function kick(peers: readonly Peer[], relayed: Relayed): Promise<Ends> {
  return endsOf(peers, () => relayed.admin("POST", "sockets/close?all=true&code=4000&reason=gate"));
}

/** Close by filter of a principal: others of the same route go on. */
async function revoke(relayed: Relayed): Promise<readonly Proof[]> {
  const others = await crowd(relayed, 20, { headers: { "X-Test-Principal": "bob" }, query: "principal=bob" });
  const peers = await crowd(relayed, MOST, { headers: { "X-Test-Principal": "alice" }, query: "principal=alice" });
  await speak(peers);
  const query = "principal=alice&code=4401&reason=revoked";
  const ends = await endsOf(peers, () => relayed.admin("POST", `sockets/close?${query}`));
  const heard = others.map(async (peer) => {
    if (peer.isEnded) return ["closed"];
    peer.text("still here");
    return (await peer.hear()).kind === "text" ? [] : ["closed"];
  });
  const lost = (await Promise.all(heard)).flat();
  const left = await nothingLeft("revoke", relayed, "principal=alice");
  for (const peer of others) peer.destroy();
  return [...closed("revoked", ends, 4401), each("sessions of others that go on meanwhile", others.length, lost), left];
}

async function drain(relayed: Relayed): Promise<readonly Proof[]> {
  const peers = await crowd(relayed, MOST);
  const ends = await endsOf(peers, () => relayed.admin("POST", `sockets/drain?all=true&spread=${DRAIN_MS}ms`));
  const at = ends.map((end) => end.at).toSorted((a, b) => a - b);
  const furthest = Math.max(...at.map((ms, index) => Math.abs(ms - (DRAIN_MS * index) / at.length))) / DRAIN_MS;
  return [
    below(`furthest of ${MOST} drained sessions from its even place, of the time for all`, 0.1, furthest, ""),
    unclean("drained", ends, 1012),
    await nothingLeft("drain", relayed),
  ];
}

type Ends = Awaited<ReturnType<typeof endsOf>>;

function closed(what: string, ends: Ends, code: number): readonly Proof[] {
  const last = Math.max(...ends.map(({ at }) => at));
  return [unclean(what, ends, code), below(`ms until ${MOST} sessions that are ${what} have both`, 250, last, "")];
}

function unclean(what: string, ends: Ends, wanted: number): Proof {
  const others = ends.flatMap(({ code, by }) => (code === wanted && by === "fin" ? [] : [`${code} and ${by}`]));
  return each(`sessions of ${MOST} that are ${what} with a Close frame of ${wanted} and a FIN`, MOST, others);
}

/** Ends are reported a second later. */
async function nothingLeft(what: string, relayed: Relayed, query = ""): Promise<Proof> {
  await eventually("none", async () => (await listed(relayed, query)) === 0 || undefined).catch(() => undefined);
  return below(`sessions listed after a ${what}`, 0, await listed(relayed, query), "");
}
