import { expect, it } from "vitest";
import { closeMeaning } from "../../../clients/websocket/close-codes.ts";

it.each([
  // What it means where a session is held, cleanly closed; where none is.
  [1000, "over", "over"],
  [1001, "over", "over"],
  [1006, "brief", "brief"],
  [1012, "brief", "brief"],
  [4000, "over", "over"],
  [4409, "brief", "over"],
  [4410, "gone", "over"],
  [4413, "gone", "over"],
] as const)("a connection that is closed with %d leaves a session %s, and none %s", (code, held, none) => {
  expect([closeMeaning(code, true, true), closeMeaning(code, true, false)]).toEqual([held, none]);
});

it.each([
  [1000, "brief"],
  [1006, "brief"],
  [4410, "gone"],
  [4413, "gone"],
] as const)("one that was lost while it was closed with %d leaves a session %s", (code, meaning) => {
  expect([closeMeaning(code, false, true), closeMeaning(code, false, false)]).toEqual([meaning, "brief"]);
});
