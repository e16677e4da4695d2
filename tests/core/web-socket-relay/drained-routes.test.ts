import { expect, it } from "vitest";
import { drainedUntil, noteDrained } from "../../../objects/web-socket-relay/drained-routes.ts";

it("a drained route takes none that is opened from the order on until its end, as the registry said last", () => {
  const seen = () => [99, 100, 199, 200].map((openedAt) => drainedUntil("chat", openedAt));
  expect(seen()).toEqual([undefined, undefined, undefined, undefined]);
  noteDrained(new Map([["chat", { since: 100, until: 200 }]]));
  expect([seen(), drainedUntil("news", 150)]).toEqual([[undefined, 200, 200, undefined], undefined]);
  noteDrained(undefined);
  expect(seen()).toEqual([undefined, undefined, undefined, undefined]);
});
