import { expect, it } from "vitest";
import type { SocketCounts } from "../../../objects/socket-registry/socket-counts.ts";
import { newTally, settleTally, tallyMessage, tallyRelayed } from "../../../objects/web-socket-relay/tally.ts";

it("messages are told by direction, kind and size, and how long they were in the relay; once", () => {
  const tally = newTally();
  for (const text of ["", "a", "hello"]) tallyMessage(tally.in, text, text.length);
  for (const bytes of [70_000, 70_000]) tallyMessage(tally.in, new ArrayBuffer(bytes), bytes);
  tallyMessage(tally.out, new ArrayBuffer(3), 3);
  tallyMessage(tally.out, "x".repeat(64), 64);
  for (const ms of [0, 0, 0, 17, 250]) tallyRelayed(tally, ms);
  const counts: SocketCounts = new Map();
  settleTally(counts, "chat", tally);
  expect(Object.fromEntries(counts.get("chat") ?? [])).toEqual({
    "messages.in.text": 3,
    "bytes.in.text": 6,
    "messages.in.binary": 2,
    "bytes.in.binary": 140_000,
    "messageBytes.in.1": 2,
    "messageBytes.in.16": 1,
    "messageBytes.in.262144": 2,
    "messages.out.text": 1,
    "bytes.out.text": 64,
    "messageBytes.out.64": 1,
    "messages.out.binary": 1,
    "bytes.out.binary": 3,
    "messageBytes.out.4": 1,
    "relayMs.1": 3,
    "relayMs.64": 1,
    "relayMs.256": 1,
  });
  const again: SocketCounts = new Map();
  settleTally(again, "chat", tally);
  expect(again).toEqual(new Map());
});
