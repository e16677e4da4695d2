import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createDependency, type Dependency } from "../../../worker/dependencies/dependency.ts";

const DEADLINE_MS = 150;
const LEFT_ALONE = "Box is not asked: its last calls failed";

let boxes: Dependency;
let calls: string[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  boxes = createDependency({ kind: "Box", remembers: 8 });
  calls = [];
});

afterEach(() => {
  vi.useRealTimers();
});

/** Calls one, which does as it is told; what came of that, as a text. */
async function call(
  whom: string,
  act: () => Promise<string>,
  options: { countsLate?: () => boolean; blame?: () => string } = {},
): Promise<string> {
  const made = boxes.call(whom, () => (calls.push(whom), act()), { deadlineMs: DEADLINE_MS, ...options });
  const told = made.catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
  await vi.advanceTimersByTimeAsync(DEADLINE_MS);
  return told;
}

const answer = () => Promise.resolve("answer");
const hang = () => new Promise<string>(() => {});
const fail = () => Promise.reject(new Error("broken"));
const overload = () => Promise.reject(Object.assign(new Error("too much"), { overloaded: true }));
const refuse = () => Promise.reject(new TypeError("v: got 2, wanted 1"));

describe("a call to a dependency", () => {
  it("is over at its deadline when nothing comes", async () => {
    expect(await call("a", hang)).toBe("Box did not answer within 150 ms");
  });

  it.each([
    ["hangs", hang],
    ["fails", fail],
  ])("is made once, and after three that it %s rejects at once for that one alone", async (_, act) => {
    for (let n = 0; n < 3; n += 1) await call("a", act);
    expect([await call("a", answer), await call("b", answer), calls]).toEqual([
      LEFT_ALONE,
      "answer",
      ["a", "a", "a", "b"],
    ]);
  });

  it("is never made again to what is overloaded, and nobody else makes one for a second", async () => {
    expect([await call("a", overload), await call("a", answer), calls]).toEqual(["too much", LEFT_ALONE, ["a"]]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await call("a", answer)).toBe("answer");
  });

  it("that is refused for its message says that its receiver is alive", async () => {
    for (let n = 0; n < 4; n += 1) await call("a", refuse);
    expect(await call("a", answer)).toBe("answer");
  });

  it("that was given little time says nothing by its silence", async () => {
    for (let n = 0; n < 4; n += 1) await call("a", hang, { countsLate: () => false });
    expect(await call("a", answer)).toBe("answer");
  });

  it("counts against whom its caller blames", async () => {
    for (let n = 0; n < 3; n += 1) await call("a", fail, { blame: () => "b" });
    const now = Date.now();
    expect([boxes.isLeftAlone("a", now), boxes.isLeftAlone("b", now)]).toEqual([false, true]);
  });
});

describe("what is left alone", () => {
  it("is asked by one after a second, and by all once that one is answered", async () => {
    for (let n = 0; n < 3; n += 1) await call("a", fail);
    await vi.advanceTimersByTimeAsync(1_000);
    const probe = call("a", answer);
    const meanwhile = call("a", answer);
    expect([await probe, await meanwhile, await call("a", answer)]).toEqual(["answer", LEFT_ALONE, "answer"]);
  });

  it("is told of by one value, since every request meets it", () => {
    expect(boxes.leftAlone()).toBe(boxes.leftAlone());
  });
});
