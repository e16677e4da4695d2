import { describe, expect, it } from "vitest";
import {
  addCounts,
  bucketOf,
  count,
  countPassed,
  type SocketCounts,
} from "../../../objects/socket-registry/socket-counts.ts";

describe("a histogram", () => {
  it.each([
    [0, 1],
    [1, 1],
    [2, 4],
    [4, 4],
    [5, 16],
    [64, 64],
    [65, 256],
    [2 ** 20, 2 ** 20],
    [2 ** 20 + 1, 2 ** 22],
    [32 * 2 ** 20, 64 * 2 ** 20],
    [2 ** 31, 64 * 2 ** 20],
  ])("counts %i among what is at most %i", (value, bound) => {
    expect(4 ** bucketOf(value)).toBe(bound);
  });

  it("is the sum of its parts, in whatever order they come", () => {
    const one: SocketCounts = new Map([["chat", new Map([["relayMs.1", 3]])]]);
    const other: SocketCounts = new Map([
      ["news", new Map([["relayMs.1", 1]])],
      [
        "chat",
        new Map([
          ["relayMs.4", 2],
          ["relayMs.1", 4],
        ]),
      ],
    ]);
    const sums = [
      [one, other],
      [other, one],
    ].map((parts) => {
      const all: SocketCounts = new Map();
      for (const part of parts) addCounts(all, part);
      return all;
    });
    expect(sums[0]).toEqual(sums[1]);
    expect(sums[0]?.get("chat")).toEqual(
      new Map([
        ["relayMs.1", 7],
        ["relayMs.4", 2],
      ]),
    );
  });
});

it.each(["client", "upstream"])("codes that a peer makes up take no room from anything else: %s", (peer) => {
  const counts: SocketCounts = new Map();
  for (let code = 3000; code < 4000; code += 1) count(counts, "chat", `closes.${peer}.${code}`);
  count(counts, "chat", `closes.${peer}.3000`);
  count(counts, "chat", "closes.gateway.1013");
  count(counts, "chat", "messageBytes.in.64");
  const names = counts.get("chat");
  expect([names?.size, names?.get("closes.other"), names?.get(`closes.${peer}.3000`)]).toEqual([203, 800, 2]);
  expect([names?.get("messageBytes.in.64"), names?.get("closes.gateway.1013")]).toEqual([1, 1]);
});

it("a thousand routes are counted, and no more", () => {
  const counts: SocketCounts = new Map();
  for (let index = 0; index <= 1_000; index += 1) count(counts, `r${index}`, "handshakes.open");
  count(counts, "r999", "handshakes.open");
  const [last, beyond] = ["r999", "r1000"].map((route) => counts.get(route)?.get("handshakes.open"));
  expect([counts.size, last, beyond]).toEqual([1_000, 2, undefined]);
});

it.each([
  [0, {}],
  [1, { "resumes.done": 1, replayed: 1 }],
])("what passed in a session is counted, of %d resumes", (times, more) => {
  const counts: SocketCounts = new Map();
  const passed = { messagesIn: 1, messagesOut: 2, bytesIn: 3, bytesOut: 4 };
  countPassed(counts, { route: "chat", ...passed, resumes: times, replayed: times });
  expect(Object.fromEntries(counts.get("chat") ?? [])).toEqual({
    "messages.in": 1,
    "messages.out": 2,
    "bytes.in": 3,
    "bytes.out": 4,
    ...more,
  });
});
