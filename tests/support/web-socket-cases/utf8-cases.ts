import { cut, echo, more, text, type Case } from "./case.ts";

/** Family 6: text that is UTF-8, and text that only looks like it (Markus Kuhn's stress test, by its own sections). */
export function utf8Cases(): readonly Case[] {
  const greeting = Buffer.from("Hello-µ@ßöäüàá-UTF-8!!");
  const kosme = Buffer.from("κόσμε");
  const bad = Buffer.concat([kosme, Buffer.from("eda080", "hex"), Buffer.from("edited")]);
  const parts = [kosme, Buffer.from("f4908080", "hex"), Buffer.from("edited")];
  const three = (first: Buffer, middle: Buffer, last: Buffer) => [
    text(first, { fin: false }),
    more(middle, false),
    more(last, true),
  ];
  const nothing = Buffer.alloc(0);
  return [
    { id: "6.1.1", frames: [text("")], expect: [echo("")] },
    { id: "6.1.2", frames: three(nothing, nothing, nothing), expect: [echo("")] },
    {
      id: "6.1.3",
      frames: three(nothing, Buffer.from("middle frame payload"), nothing),
      expect: [echo("middle frame payload")],
    },
    { id: "6.2.1", frames: [text(greeting)], expect: [echo(greeting)] },
    { id: "6.2.2", frames: cut(greeting, 12), expect: [echo(greeting)] },
    { id: "6.2.3", frames: cut(greeting, 1), expect: [echo(greeting)] },
    { id: "6.2.4", frames: cut(kosme, 1), expect: [echo(kosme)] },
    { id: "6.3.1", frames: [text(bad)], expect: [], closes: "fails" },
    { id: "6.3.2", frames: cut(bad, 1), expect: [], closes: "fails" },
    ...[Infinity, 1].flatMap((chop, at): Case[] => [
      { id: `6.4.${2 * at + 1}`, frames: three(...tuple(parts)), chop, expect: [], closes: "fails" },
      {
        id: `6.4.${2 * at + 2}`,
        frames: three(
          ...tuple([...parts.slice(0, 1), Buffer.from("f490", "hex"), Buffer.from("8080656469746564", "hex")]),
        ),
        chop,
        expect: [],
        closes: "fails",
      },
    ]),
    ...SECTIONS.flatMap(([section, validity, texts]) =>
      texts.map((hex, at): Case => {
        const payload = Buffer.from(hex, "hex");
        const isValid = validity === "valid" || (Array.isArray(validity) && validity.includes(at + 1));
        const id = `6.${section}.${at + 1}`;
        return isValid
          ? { id, frames: [text(payload)], expect: [echo(payload)] }
          : { id, frames: [text(payload)], expect: [], closes: "fails" };
      }),
    ),
  ];
}

function tuple(values: readonly Buffer[]): [Buffer, Buffer, Buffer] {
  const [first, second, third] = values;
  if (first === undefined || second === undefined || third === undefined) throw new Error("three are wanted");
  return [first, second, third];
}

/** All prefixes of a text, each with what makes it end in the middle of a character or not. */
function prefixes(hex: string): string[] {
  return Array.from({ length: hex.length / 2 }, (_, at) => hex.slice(0, 2 * (at + 1)));
}

const KOSME = "cebae1bdb9cf83cebcceb5";
/** After how many bytes of it a character ends. */
const ENDS = [2, 5, 7, 9, 11];
/** The 34 noncharacters, which are characters all the same (Unicode corrigendum 9). */
const NONCHARACTERS = [
  "efbfbe",
  "efbfbf",
  ...Array.from({ length: 16 }, (_, plane) => [0xfffe, 0xffff].map((low) => ((plane + 1) << 16) | low))
    .flat()
    .map((point) => Buffer.from(String.fromCodePoint(point)).toString("hex")),
];

type Section = readonly [number, "valid" | "invalid" | readonly number[], readonly string[]];

const SECTIONS: readonly Section[] = [
  [
    5,
    "valid",
    [
      "68656c6c6f24776f726c64",
      "68656c6c6fc2a2776f726c64",
      "68656c6c6fe282ac776f726c64",
      "68656c6c6ff0a4ada2776f726c64",
      KOSME,
    ],
  ],
  [6, ENDS, prefixes(KOSME)],
  [7, "valid", ["00", "c280", "e0a080", "f0908080"]],
  [8, "invalid", ["f888808080", "fc8480808080"]],
  [9, "valid", ["7f", "dfbf", "efbfbf", "f48fbfbf"]],
  [10, "invalid", ["f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"]],
  [11, [1, 2, 3, 4], ["ed9fbf", "ee8080", "efbfbd", "f48fbfbf", "f4908080"]],
  [12, "invalid", ["80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf", continuations()]],
  [13, "invalid", [starts(0xc0, 0xdf), starts(0xe0, 0xef), starts(0xf0, 0xf7), starts(0xf8, 0xfb), starts(0xfc, 0xfd)]],
  [14, "invalid", ["c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"]],
  [15, "invalid", ["c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf"]],
  [16, "invalid", ["fe", "ff", "fefeffff"]],
  [17, "invalid", ["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"]],
  [18, "invalid", ["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"]],
  [19, "invalid", ["c080", "e08080", "f0808080", "f880808080", "fc8080808080"]],
  [20, "invalid", ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"]],
  [
    21,
    "invalid",
    [
      "eda080edb080",
      "eda080edbfbf",
      "edadbfedb080",
      "edadbfedbfbf",
      "edae80edb080",
      "edae80edbfbf",
      "edafbfedb080",
      "edafbfedbfbf",
    ],
  ],
  [22, "valid", NONCHARACTERS],
  [23, "valid", ["efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf"]],
];

function continuations(): string {
  return Array.from({ length: 64 }, (_, at) => (0x80 + at).toString(16)).join("");
}

/** Each byte that begins a character of this length, before a space. */
function starts(from: number, to: number): string {
  return Array.from({ length: to - from + 1 }, (_, at) => `${(from + at).toString(16)}20`).join("");
}
