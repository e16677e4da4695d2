import { encode, OPCODES } from "./frames.ts";
import { heard, type Heard, type Peer } from "./peer.ts";

/** Both ends of a session, on raw sockets. */
export interface Ends {
  readonly client: Peer;
  readonly upstream: Peer;
}

/** What a relay may do right or wrong: `run` tells what was seen, for comparison with the same without a relay. */
export interface ConformanceCase {
  readonly name: string;
  run(ends: Ends): Promise<unknown>;
}

const MIB = 2 ** 20;
const SIZES = [0, 125, 126, 65_535, 65_536, MIB, 8 * MIB];
/** More than what a relay may read as one message. */
const HUGE = 32 * MIB + 1;
/** What a Close frame may say (RFC 6455 7.4, and the registry). */
export const SENDABLE = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4000, 4999];
/** Codes that no Close frame may have, or that nobody has given a meaning. */
export const FORBIDDEN = [999, 1004, 1005, 1006, 1015, 1100, 2999, 5000];
const REASON = "grüße, 世界";
const DIRECTIONS = ["client", "upstream"] as const;
type Direction = (typeof DIRECTIONS)[number];

/** Families as in Autobahn's suite: framing (1, 9), pings (2), reserved bits (3), opcodes (4), fragments (5), UTF-8 (6), closing (7, 10). */
export const CASES: readonly ConformanceCase[] = DIRECTIONS.flatMap(casesOf);

function casesOf(from: Direction): readonly ConformanceCase[] {
  return [
    ...SIZES.flatMap((size) => [message(from, "binary", size), message(from, "text", size)]),
    message(from, "binary", HUGE),
    order(from),
    fragments(from),
    ping(from),
    ...SENDABLE.map((code) => closing(from, code, REASON)),
    closing(from, 1000, "r".repeat(123)),
    closing(from, undefined, ""),
    ...FORBIDDEN.map((code) => closing(from, code, "")),
    halfClose(from),
    speaksOn(from),
    lost(from, "fin"),
    lost(from, "reset"),
    ...violations(from),
  ];
}

function ends(pair: Ends, from: Direction): { readonly sender: Peer; readonly taker: Peer } {
  const taker = from === "client" ? pair.upstream : pair.client;
  return { sender: pair[from], taker };
}

function message(from: Direction, kind: "text" | "binary", size: number): ConformanceCase {
  return {
    name: `${kind} of ${size} bytes from the ${from}`,
    async run(pair) {
      const { sender, taker } = ends(pair, from);
      sender.frame(OPCODES[kind], Buffer.alloc(size, "a"));
      const end = taker.ended();
      const frame = await Promise.race([taker.next(), end.then(() => undefined)]);
      if (frame === undefined) return await Promise.all([end, sender.ended()]);
      const { opcode, payload } = frame;
      return { opcode, length: payload.length, isIntact: payload.equals(Buffer.alloc(size, "a")) };
    },
  };
}

function order(from: Direction): ConformanceCase {
  return {
    name: `100 messages in order from the ${from}`,
    async run(pair) {
      const { sender, taker } = ends(pair, from);
      for (let n = 0; n < 100; n++) sender.frame(n % 2 === 0 ? OPCODES.text : OPCODES.binary, Buffer.alloc(n, "b"));
      const frames = [];
      for (let n = 0; n < 100; n++) frames.push(await taker.next());
      return frames.map(({ opcode, payload }) => [opcode, payload.length]);
    },
  };
}

function fragments(from: Direction): ConformanceCase {
  return {
    name: `a message of ten fragments with a ping among them from the ${from}`,
    async run(pair) {
      const { sender, taker } = ends(pair, from);
      for (let n = 0; n < 10; n++) {
        sender.frame(n === 0 ? OPCODES.text : OPCODES.continuation, String(n), { fin: n === 9 });
        if (n === 4) sender.frame(OPCODES.ping, "p");
      }
      let text = "";
      const kinds: number[] = [];
      while (text.length < 10) {
        const { opcode, payload } = await taker.next();
        kinds.push(opcode);
        if (opcode <= OPCODES.binary) text += payload.toString();
      }
      return { text, kinds };
    },
  };
}

function ping(from: Direction): ConformanceCase {
  return {
    name: `a ping from the ${from}`,
    async run(pair) {
      const { sender, taker } = ends(pair, from);
      taker.behave();
      sender.frame(OPCODES.ping, "are you there");
      const answer = await sender.hear();
      sender.text("next");
      const seen: Heard[] = [];
      do seen.push(await taker.hear());
      while (seen.at(-1)?.kind !== "text");
      return { answer, seen };
    },
  };
}

function closing(from: Direction, code: number | undefined, reason: string): ConformanceCase {
  const shown = reason.length > 20 ? `${reason.length} letters` : reason;
  return {
    name: `close ${code ?? "without a code"} ${shown} from the ${from}`,
    async run(pair) {
      const { sender, taker } = ends(pair, from);
      taker.behave();
      sender.behave().close(code, reason);
      return { taker: await endOf(taker, pair), sender: await endOf(sender, pair) };
    },
  };
}

function halfClose(from: Direction): ConformanceCase {
  return {
    name: `50 messages and a close from the ${from}`,
    async run(pair) {
      const { sender, taker } = ends(pair, from);
      for (let n = 0; n < 50; n++) sender.text(String(n));
      sender.behave().close(4001, "done");
      taker.behave();
      await taker.ended();
      return taker.frames.map(heard);
    },
  };
}

function speaksOn(from: Direction): ConformanceCase {
  return {
    name: `three messages after a close from the ${from}`,
    async run(pair) {
      const { sender, taker } = ends(pair, from);
      sender.close(4001, "done");
      const close = await taker.hear();
      for (const text of ["one", "two", "three"]) taker.text(text);
      taker.close(4001, "done");
      const seen: Heard[] = [];
      do seen.push(await sender.hear());
      while (seen.at(-1)?.kind !== "close");
      return { close, seen };
    },
  };
}

function lost(from: Direction, how: "fin" | "reset"): ConformanceCase {
  return {
    name: `a ${how} of the ${from} without a close`,
    async run(pair) {
      const { sender, taker } = ends(pair, from);
      taker.behave();
      if (how === "fin") sender.finish();
      else sender.reset();
      return endOf(taker, pair);
    },
  };
}

function violations(from: Direction): readonly ConformanceCase[] {
  const isMasked = from === "client";
  const bad: readonly (readonly [name: string, bytes: Buffer])[] = [
    ["text that is no UTF-8", encode(OPCODES.text, Buffer.from([0xc3, 0x28]), { isMasked })],
    ["a reserved bit", encode(OPCODES.text, "a", { isMasked, rsv: 4 })],
    ["opcode 3", encode(3, "a", { isMasked })],
    ["opcode 11", encode(11, "a", { isMasked })],
    ["a continuation of nothing", encode(OPCODES.continuation, "a", { isMasked })],
    ["a ping of 126 bytes", encode(OPCODES.ping, Buffer.alloc(126), { isMasked })],
    ["a ping in fragments", encode(OPCODES.ping, "a", { isMasked, fin: false })],
    ["a close of one byte", encode(OPCODES.close, Buffer.from([3]), { isMasked })],
    ["a close with a reason that is no UTF-8", encode(OPCODES.close, Buffer.from([3, 232, 0xc3, 0x28]), { isMasked })],
    ...(isMasked ? ([["a frame without a mask", encode(OPCODES.text, "a")]] as const) : []),
  ];
  return bad.map(([name, bytes]) => ({
    name: `${name} from the ${from}`,
    async run(pair) {
      const { sender, taker } = ends(pair, from);
      taker.behave();
      sender.behave().raw(bytes);
      sender.text("after");
      sender.close(1000);
      return { taker: await endOf(taker, pair), told: taker.frames.map(shortly) };
    },
  }));
}

function shortly({ opcode, payload }: { readonly opcode: number; readonly payload: Buffer }): string {
  return `${opcode}:${payload.toString("hex").slice(0, 32)}`;
}

/** How one side ended; in the end nobody is left waiting, so the other side is closed too where nothing else does it. */
async function endOf(peer: Peer, { client, upstream }: Ends): Promise<{ code: number; reason: string }> {
  const { code, reason } = await peer.ended();
  if (peer === upstream) client.finish();
  return { code, reason };
}
