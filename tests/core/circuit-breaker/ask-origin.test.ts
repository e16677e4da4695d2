import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { askOrigin, type HealthChecker } from "../../../objects/circuit-breaker/ask-origin.ts";
import { createDeadlines } from "../../../objects/deadlines.ts";

const QUESTION = { v: 1, target: "http://127.0.0.1:9", backend: "api", configVersion: 1 } as const;
const JUDGED = { kind: "judged", ok: true, status: 200, durationMs: 1, detail: "status 200" } as const;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Asks a gateway that answers so. */
function ask(checkHealth: HealthChecker["checkHealth"]) {
  return askOrigin({ origin: { checkHealth }, within: createDeadlines() }, QUESTION, 2_000);
}

it("tells what the gateway found, and leaves no timer behind", async () => {
  expect(await ask(async () => JUDGED)).toEqual(JUDGED);
  expect(vi.getTimerCount()).toBe(0);
});

it("learns nothing of the target when the gateway hangs, a second after the check should have ended", async () => {
  const settled = vi.fn<(answer: unknown) => void>();
  const asked = ask(() => new Promise(() => {})).then(settled);
  await vi.advanceTimersByTimeAsync(2_999);
  expect(settled).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await asked;
  expect(settled).toHaveBeenCalledWith({
    kind: "unknown",
    detail: "the gateway's own check did not end in time",
  });
});

it.each([
  ["rejects", () => Promise.reject(new Error("lost"))],
  [
    "throws",
    () => {
      throw new Error("lost");
    },
  ],
])("learns nothing of the target when the gateway %s", async (_title, checkHealth) => {
  expect(await ask(checkHealth)).toEqual({ kind: "unknown", detail: "lost" });
});
