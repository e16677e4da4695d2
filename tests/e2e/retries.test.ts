import { afterAll, beforeAll, expect, it } from "vitest";
import type { BackendFleet } from "../support/backend-fleet.ts";
import type { Manner } from "../support/origin/manner.ts";
import { amplify, FAILURES, ISOLATES, post, startRetryFleet, timesReceived } from "../support/retry-fleet.ts";

const POSTS = 64;

let fleet: BackendFleet;

beforeAll(async () => {
  fleet = await startRetryFleet();
});

afterAll(() => fleet?.stop());

/** Only who waits for silence needs a deadline, which a busy machine may miss. */
function routeFor({ kind }: Manner): string {
  return kind === "hold" ? "/retried" : "/patient";
}

it.each(FAILURES)("never sends a POST twice to targets of which each %s", async (failure, manner) => {
  const path = `${routeFor(manner)}/post/${failure.replaceAll(" ", "-")}`;
  await Promise.all(fleet.targets.map((target) => target.behave(manner, path)));
  const statuses = await post(fleet, path, POSTS);
  expect(timesReceived(fleet, path)).toEqual({ 1: POSTS });
  expect(statuses[200]).toBeUndefined();
});

it.each(FAILURES)("tries a GET again at the other target when one %s", async (failure, manner) => {
  const path = `${routeFor(manner)}/get/${failure.replaceAll(" ", "-")}`;
  const [bad, good] = fleet.targets;
  await bad?.behave(manner, path);
  const answers = [];
  for (let isolate = 0; isolate < ISOLATES; isolate += 1) answers.push(await fleet.ask(`${path}/1`, { isolate }));
  for (let isolate = 0; isolate < ISOLATES; isolate += 1) answers.push(await fleet.ask(`${path}/2`, { isolate }));
  expect(answers.map(({ servedBy }) => servedBy)).toEqual(Array(2 * ISOLATES).fill(good?.port));
  expect(bad?.received(path).length).toBeGreaterThan(0);
});

it("tries a POST again that has an Idempotency-Key, with the same body", async () => {
  const path = "/patient/keyed";
  await fleet.targets[0]?.behave({ kind: "reset" }, path);
  const keyed = { method: "POST", headers: { "idempotency-key": '"a"' }, body: "a body" };
  // By turns, one of two begins at the target that fails.
  const answers = [];
  for (let turn = 0; turn < 2; turn += 1) answers.push(await fleet.ask(path, { ...keyed, isolate: 0 }));
  expect(answers.map(({ what }) => what)).toEqual(["200", "200"]);
  expect(fleet.targets[0]?.received(path)).toHaveLength(1);
});

it("never loads a failing backend with more than 1.2 times its requests and 10 a second", async () => {
  const { requests, received, most } = await amplify(fleet, 2_000);
  expect(received).toBeGreaterThan(requests);
  expect(received).toBeLessThanOrEqual(most);
});
