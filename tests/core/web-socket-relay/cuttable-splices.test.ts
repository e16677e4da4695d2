import { expect, it } from "vitest";
import { forgetSplice, keepSplice } from "../../../objects/web-socket-relay/cuttable-splices.ts";

it("a thousand splices can be cut, and the oldest of more are let go", () => {
  const splices = Array.from({ length: 1_000 }, keepSplice);
  expect(splices.filter(({ isLetGo }) => isLetGo)).toEqual([]);
  const [oldest, second, third] = splices;
  if (second !== undefined) forgetSplice(second);
  // In its place.
  keepSplice();
  expect([oldest, second, third].map((splice) => splice?.isLetGo)).toEqual([false, true, false]);
  keepSplice();
  expect([oldest, third].map((splice) => splice?.isLetGo)).toEqual([true, false]);
  keepSplice();
  expect([third, splices[3]].map((splice) => splice?.isLetGo)).toEqual([true, false]);
});
