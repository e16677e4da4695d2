import * as v from "valibot";
import { expect, it } from "vitest";
import { closedObject } from "../../../schemas/document/closed-object.ts";

it("copies an object once, however many of its keys are unknown", () => {
  const { issues = [] } = v.safeParse(closedObject({}), { first: 1, second: 2 });
  const [first, second] = issues.map((issue) => issue.path?.[0]?.input);
  expect(first).toEqual({ first: 1, second: 2 });
  expect(second).toBe(first);
});
