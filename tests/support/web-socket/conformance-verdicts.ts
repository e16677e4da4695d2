import { isDeepStrictEqual } from "node:util";
import { openSocket } from "./client.ts";
import { CASES, type ConformanceCase, type Ends } from "./conformance.ts";
import { within } from "./proofs.ts";
import type { Relayed } from "./relayed.ts";

/** No case takes a tenth of it. */
const PATIENCE_MS = 15_000;

/** The runtime took it for a fault, and ended the connection: the other side is told that its peer is lost. */
const LOST = {
  client: { taker: { code: 1001, reason: "client lost" }, told: ["8:03e9636c69656e74206c6f7374"] },
  upstream: { taker: { code: 1014, reason: "upstream lost" }, told: ["8:03f6757073747265616d206c6f7374"] },
} as const;
/** What nobody may send is answered 1002. */
const NOT_SENDABLE = {
  client: { taker: { code: 1002, reason: "" }, sender: { code: 1002, reason: "" } },
  upstream: { taker: { code: 1014, reason: "" }, sender: { code: 1002, reason: "" } },
} as const;

/** All that a bridge does otherwise, as its runtime reads messages and not frames: by what the case's name begins with. */
const BRIDGE: readonly (readonly [begins: string, verdict: (from: "client" | "upstream") => unknown])[] = [
  // The runtime's own 1009, to who sent it.
  ["binary of 33554433 bytes", (from) => ({ opcode: 8, length: from === "client" ? 13 : 15, isIntact: false })],
  ["a message of ten fragments", () => ({ text: "0123456789", kinds: [1] })],
  ["a ping from", () => ({ answer: { kind: "pong", text: "are you there" }, seen: [{ kind: "text", text: "next" }] })],
  ...[999, 1004, 1006, 1015, 1100, 2999, 5000].map(
    (code) => [`close ${code} `, (from: "client" | "upstream") => NOT_SENDABLE[from]] as const,
  ),
  ["a fin of", (from) => LOST[from].taker],
  ["a reset of", (from) => LOST[from].taker],
  // No API says that a text was no UTF-8.
  ["text that is no UTF-8", () => ({ taker: closed(1000), told: ["1:efbfbd28", "1:6166746572", "8:03e8"] })],
  ["a close with a reason that is no UTF-8", () => ({ taker: closed(1000, "\ufffd("), told: ["8:03e8efbfbd28"] })],
  ["a close of one byte", () => ({ taker: closed(1005), told: ["8:"] })],
  ["a ping of 126 bytes", () => ({ taker: closed(1000), told: ["1:6166746572", "8:03e8"] })],
  ...["a reserved bit", "opcode 3", "opcode 11", "a continuation of nothing", "a ping in fragments"].map(
    (name) => [name, (from: "client" | "upstream") => LOST[from]] as const,
  ),
];

/** What came of a case, and what was to come of it. */
export interface Verdict {
  readonly name: string;
  readonly got: unknown;
  readonly wanted: unknown;
  readonly isRight: boolean;
  /** Whether what is wanted is something else than without a relay. */
  readonly isListed: boolean;
}

/** What comes of each case where there is no relay. */
export async function directly(relayed: Relayed): Promise<ReadonlyMap<string, unknown>> {
  const { origin } = relayed;
  const verdicts = new Map<string, unknown>();
  for (const one of CASES) {
    const ended = await verdictOf(one, async () => {
      const [client, upstream] = await Promise.all([openSocket(origin.url, { path: "/held" }), origin.accept()]);
      return { client, upstream };
    });
    if (typeof ended === "string") throw new Error(`${one.name}: ${ended}`);
    verdicts.set(one.name, ended);
  }
  return verdicts;
}

/** What comes of each case through the route of this name, beside what came of it directly, or of what a bridge is known to do. */
export async function relayedBy(
  mode: "splice" | "bridge",
  relayed: Relayed,
  direct: ReadonlyMap<string, unknown>,
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const one of CASES) {
    const from = one.name.includes("client") ? "client" : "upstream";
    const other = mode === "bridge" ? BRIDGE.find(([begins]) => one.name.startsWith(begins)) : undefined;
    const wanted = other === undefined ? direct.get(one.name) : other[1](from);
    const got = await verdictOf(one, () => relayed.open(mode));
    const isListed = !isDeepStrictEqual(wanted, direct.get(one.name));
    verdicts.push({ name: one.name, got, wanted, isRight: isDeepStrictEqual(got, wanted), isListed });
  }
  return verdicts;
}

async function verdictOf(one: ConformanceCase, open: () => Promise<Ends>): Promise<unknown> {
  const ends = await open();
  try {
    return await within(one.name, one.run(ends), PATIENCE_MS);
  } catch (error) {
    // What never comes is another verdict than what should.
    return String(error);
  } finally {
    ends.client.destroy();
    ends.upstream.destroy();
  }
}

function closed(code: number, reason = ""): { code: number; reason: string } {
  return { code, reason };
}
