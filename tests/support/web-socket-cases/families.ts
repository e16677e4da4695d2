import { binary, close, cut, echo, more, ping, pong, text, type Case } from "./case.ts";
import { OPCODES } from "../web-socket/frames.ts";
import { utf8Cases } from "./utf8-cases.ts";

const PAYLOAD = "Hello, world!";
const HELLO = echo(PAYLOAD);
const NOT_TEXT = Buffer.from([0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff]);
const SIZES = [0, 125, 126, 127, 128, 65_535, 65_536];

/** Families 1 to 7 and 10: 247 cases. The numbers are those of the Autobahn Testsuite; what is sent is after its descriptions. */
export function strictCases(): readonly Case[] {
  return [
    ...frames(),
    ...pings(),
    ...reserved(),
    ...opcodes(),
    ...fragments(),
    ...utf8Cases(),
    ...closing(),
    ...fragmented(),
  ];
}

/** Samples of family 9: sizes up to `most` bytes, whole, in fragments and chopped, and so many messages in a row. */
export function sizeCases(most: number, inRow: number): readonly Case[] {
  const sizes = [64, 256, 1_024, 4_096, 8_192, 16_384].map((kib) => kib * 1_024).filter((size) => size <= most);
  const large = Buffer.alloc(Math.min(most, 4 * 1_048_576), "*");
  const pieces = [256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576].filter((size) => size <= large.length);
  const rounds = [0, 16, 64, 256, 1_024, 4_096];
  return [
    ...sizes.map((size, at) => whole(`9.1.${at + 1}`, Buffer.alloc(size, "*"), "text")),
    ...sizes.map((size, at) => whole(`9.2.${at + 1}`, Buffer.alloc(size, 0xfe), "binary")),
    ...pieces.map((size, at) => ({ id: `9.3.${at + 2}`, frames: cut(large, size), expect: [echo(large)] })),
    ...pieces.map((size, at) => ({
      id: `9.4.${at + 2}`,
      frames: cut(large, size, OPCODES.binary),
      expect: [echo(large, "binary")],
    })),
    ...[64, 128, 256, 512, 1_024, 2_048].map((chop, at) => {
      const payload = Buffer.alloc(Math.min(most, 1_048_576), "*");
      return { id: `9.5.${at + 1}`, frames: [text(payload)], chop, expect: [echo(payload)] };
    }),
    ...[64, 128, 256, 512, 1_024, 2_048].map((chop, at) => {
      const payload = Buffer.alloc(Math.min(most, 1_048_576), 0xfe);
      return { id: `9.6.${at + 1}`, frames: [binary(payload)], chop, expect: [echo(payload, "binary")] };
    }),
    ...rounds.map((size, at) => many(inRow, whole(`9.7.${at + 1}`, Buffer.alloc(size, "*"), "text"))),
    ...rounds.map((size, at) => many(inRow, whole(`9.8.${at + 1}`, Buffer.alloc(size, 0xfe), "binary"))),
  ];
}

/** Samples of families 12 and 13: compressed messages of each size, ten in a row, and by what is offered of RFC 7692. */
export function deflateCases(): readonly Case[] {
  return [
    ...[16, 64, 256, 1_024, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072].flatMap((size, at) => [
      compressed(`12.1.${at + 1}`, size, "text"),
      compressed(`12.2.${at + 1}`, size, "binary"),
    ]),
    ...OFFERS.flatMap(([family, offer]) =>
      [16, 1_024, 8_192].map((size, at) => compressed(`13.${family}.${at + 1}`, size, "text", offer)),
    ),
  ];
}

/** Families 13.2 and 13.4 to 13.7. In all of them messages are compressed each by itself, since `run-case` keeps no state. */
const OFFERS = [
  [2, "permessage-deflate; server_no_context_takeover"],
  [4, "permessage-deflate; server_no_context_takeover; server_max_window_bits=15"],
  [5, "permessage-deflate; server_no_context_takeover; server_max_window_bits=9"],
  [6, "permessage-deflate; server_no_context_takeover; client_max_window_bits"],
  [
    7,
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate; server_no_context_takeover",
  ],
] as const;

function compressed(id: string, size: number, kind: "text" | "binary", offer?: string): Case {
  const one = many(10, whole(id, Buffer.from(words(size)), kind));
  return { ...one, isDeflated: true, ...(offer === undefined ? {} : { offer }) };
}

/** Text that can be compressed, but not to nothing. */
function words(size: number): string {
  let made = "";
  for (let at = 0; made.length < size; at += 1) made += `{"at":${at},"of":"${(at * 2_654_435_761) % 4_294_967_296}"}`;
  return made.slice(0, size);
}

function whole(id: string, payload: Buffer, kind: "text" | "binary"): Case {
  return { id, frames: [kind === "text" ? text(payload) : binary(payload)], expect: [echo(payload, kind)] };
}

function many(count: number, one: Case): Case {
  const times = <Value>(values: readonly Value[]) => Array.from({ length: count }, () => values).flat();
  return { id: one.id, frames: times(one.frames), expect: times(one.expect) };
}

function frames(): Case[] {
  const sized = (family: string, kind: "text" | "binary", byte: number | string) => [
    ...SIZES.map((size, at) => whole(`${family}.${at + 1}`, Buffer.alloc(size, byte), kind)),
    { ...whole(`${family}.8`, Buffer.alloc(65_536, byte), kind), chop: 997 },
  ];
  return [...sized("1.1", "text", "*"), ...sized("1.2", "binary", 0xfe)];
}

function pings(): Case[] {
  const full = Buffer.alloc(125, 0xfe);
  const ten = Array.from({ length: 10 }, (_, at) => `payload-${at}`);
  const answered = (payload: string | Buffer) => [echo(payload, "pong")];
  return [
    { id: "2.1", frames: [ping()], expect: answered("") },
    { id: "2.2", frames: [ping(PAYLOAD)], expect: answered(PAYLOAD) },
    { id: "2.3", frames: [ping(NOT_TEXT)], expect: answered(NOT_TEXT) },
    { id: "2.4", frames: [ping(full)], expect: answered(full) },
    { id: "2.5", frames: [ping(Buffer.alloc(126, 0xfe))], expect: [], closes: "fails" },
    { id: "2.6", frames: [ping(full)], chop: 1, expect: answered(full) },
    { id: "2.7", frames: [pong()], expect: [] },
    { id: "2.8", frames: [pong("unsolicited")], expect: [] },
    { id: "2.9", frames: [pong("unsolicited"), ping("ping")], expect: answered("ping") },
    { id: "2.10", frames: ten.map((payload) => ping(payload)), expect: ten.flatMap(answered) },
    { id: "2.11", frames: ten.map((payload) => ping(payload)), chop: 1, expect: ten.flatMap(answered) },
  ];
}

function reserved(): Case[] {
  const second = [text(PAYLOAD), text(PAYLOAD, { rsv: 2 }), ping()];
  return [
    { id: "3.1", frames: [text(PAYLOAD, { rsv: 1 })], expect: [], closes: "fails" },
    { id: "3.2", frames: second, expect: [HELLO], closes: "fails" },
    { id: "3.3", frames: second, chop: 8, expect: [HELLO], closes: "fails" },
    {
      id: "3.4",
      frames: [text(PAYLOAD), text(PAYLOAD, { rsv: 4 }), ping()],
      chop: 1,
      expect: [HELLO],
      closes: "fails",
    },
    { id: "3.5", frames: [binary(NOT_TEXT, { rsv: 5 })], expect: [], closes: "fails" },
    { id: "3.6", frames: [ping(PAYLOAD, { rsv: 6 })], expect: [], closes: "fails" },
    { id: "3.7", frames: [close(1000, "", { rsv: 7 })], expect: [], closes: "fails" },
  ];
}

function opcodes(): Case[] {
  const family = (name: string, first: number): Case[] => [
    { id: `${name}.1`, frames: [{ opcode: first, payload: Buffer.alloc(0) }], expect: [], closes: "fails" },
    { id: `${name}.2`, frames: [text(PAYLOAD, { opcode: first + 1 })], expect: [], closes: "fails" },
    {
      id: `${name}.3`,
      frames: [text(PAYLOAD), text("", { opcode: first + 2 }), ping()],
      expect: [HELLO],
      closes: "fails",
    },
    {
      id: `${name}.4`,
      frames: [text(PAYLOAD), text(PAYLOAD, { opcode: first + 3 }), ping()],
      expect: [HELLO],
      closes: "fails",
    },
    {
      id: `${name}.5`,
      frames: [text(PAYLOAD), text(PAYLOAD, { opcode: first + 4 }), ping()],
      chop: 1,
      expect: [HELLO],
      closes: "fails",
    },
  ];
  return [...family("4.1", 3), ...family("4.2", 11)];
}

function fragments(): Case[] {
  const two = [text("fragment1", { fin: false }), more("fragment2", true)];
  const both = [echo("fragment1fragment2")];
  const between = [text("fragment1", { fin: false }), ping("ping"), more("fragment2", true)];
  const pongFirst = [echo("ping", "pong"), ...both];
  const five = [
    text("fragment1", { fin: false }),
    more("fragment2", false),
    ping("pongme 1!"),
    more("fragment3", false),
    more("fragment4", false),
    ping("pongme 2!"),
    more("fragment5", true),
  ];
  const fiveBack = [
    echo("pongme 1!", "pong"),
    echo("pongme 2!", "pong"),
    echo("fragment1fragment2fragment3fragment4fragment5"),
  ];
  const orphan = (fin: boolean) => [more("non-continuation payload", fin), text(PAYLOAD)];
  const after = [...two, more("fragment3", false), text("fragment4", { fin: true })];
  const loose = (fin: boolean) => [more("fragment1", fin), text("fragment2", { fin: false }), more("fragment3", true)];
  const chops = [Infinity, 8, 1];
  return [
    { id: "5.1", frames: [ping("fragment1", { fin: false }), more("fragment2", true)], expect: [], closes: "fails" },
    { id: "5.2", frames: [pong("fragment1", { fin: false }), more("fragment2", true)], expect: [], closes: "fails" },
    ...chops.map((chop, at): Case => ({ id: `5.${3 + at}`, frames: two, chop, expect: both })),
    ...chops.map((chop, at): Case => ({ id: `5.${6 + at}`, frames: between, chop, expect: pongFirst })),
    ...chops.map((chop, at): Case => ({ id: `5.${9 + at}`, frames: orphan(true), chop, expect: [], closes: "fails" })),
    ...chops.map((chop, at): Case => ({
      id: `5.${12 + at}`,
      frames: orphan(false),
      chop,
      expect: [],
      closes: "fails",
    })),
    { id: "5.15", frames: after, expect: both, closes: "fails" },
    { id: "5.16", frames: [...loose(false), ...loose(false)], expect: [], closes: "fails" },
    { id: "5.17", frames: [...loose(true), ...loose(true)], expect: [], closes: "fails" },
    {
      id: "5.18",
      frames: [text("fragment1", { fin: false }), text("fragment2")],
      expect: [],
      closes: "fails",
    },
    { id: "5.19", frames: five, expect: fiveBack },
    { id: "5.20", frames: five, chop: 16, expect: fiveBack },
  ];
}

const VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
const INVALID_CODES = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];

function closing(): Case[] {
  const large = Buffer.alloc(262_144, "BAsd7&jh23");
  const answered = { closes: "answers", code: 1000 } as const;
  return [
    { id: "7.1.1", frames: [text(PAYLOAD), close(1000)], expect: [HELLO], ...answered },
    { id: "7.1.2", frames: [close(1000), close(1000)], expect: [], ...answered },
    { id: "7.1.3", frames: [close(1000), ping()], expect: [], ...answered },
    { id: "7.1.4", frames: [close(1000), text(PAYLOAD)], expect: [], ...answered },
    {
      id: "7.1.5",
      frames: [text("fragment1", { fin: false }), close(1000), more("fragment2", true)],
      expect: [],
      ...answered,
    },
    {
      id: "7.1.6",
      frames: [text(large), text(PAYLOAD), close(1000), ping()],
      expect: [echo(large), HELLO],
      ...answered,
    },
    { id: "7.3.1", frames: [close()], expect: [], closes: "answers" },
    { id: "7.3.2", frames: [{ opcode: OPCODES.close, payload: Buffer.from("a") }], expect: [], closes: "fails" },
    { id: "7.3.3", frames: [close(1000)], expect: [], ...answered },
    { id: "7.3.4", frames: [close(1000, "Hello World!")], expect: [], ...answered },
    { id: "7.3.5", frames: [close(1000, "*".repeat(123))], expect: [], ...answered },
    { id: "7.3.6", frames: [close(1000, "*".repeat(124))], expect: [], closes: "fails" },
    {
      id: "7.5.1",
      frames: [close(1000, Buffer.from("cebae1bdb9cf83cebcceb5eda080656469746564", "hex"))],
      expect: [],
      closes: "fails",
    },
    ...VALID_CODES.map((code, at): Case => ({
      id: `7.7.${at + 1}`,
      frames: [close(code)],
      expect: [],
      closes: "answers",
      code,
    })),
    ...INVALID_CODES.map((code, at): Case => ({
      id: `7.9.${at + 1}`,
      frames: [close(code)],
      expect: [],
      closes: "fails",
    })),
    ...[5000, 65_535].map((code, at): Case => ({
      id: `7.13.${at + 1}`,
      frames: [close(code)],
      expect: [],
      closes: "fails",
    })),
  ];
}

function fragmented(): Case[] {
  const payload = Buffer.alloc(65_536, "*");
  return [{ id: "10.1.1", frames: cut(payload, 1_300), expect: [echo(payload)] }];
}
