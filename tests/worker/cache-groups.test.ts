import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { ALL_GROUPS } from "../../objects/control-plane/group-purges.ts";
import type { PurgeMessage } from "../../objects/control-plane/purge-messages.ts";
import { invalidatedHere, invalidateGroups } from "../../worker/cache/flow/group-invalidation.ts";
import type { Exchange } from "../../worker/exchange.ts";
import { exchangeFor } from "./exchange.ts";

const tagOf = (group: string) => `http://gateway.test\n${group}`;

/** An isolate whose ControlPlane fails so often before it works; `told` is what it was asked. */
function isolate({ failures = 0 } = {}) {
  const told: PurgeMessage["target"][] = [];
  const work: Promise<unknown>[] = [];
  let left = failures;
  const bindings: Env = {
    ...env,
    NAMING_SECRET: "secret of the tests",
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of it is called
    CONTROL_PLANE: {
      idFromName: (name: string) => env.CONTROL_PLANE.idFromName(name),
      get: (id: DurableObjectId) => ({
        purge(message: PurgeMessage) {
          told.push(message.target);
          left -= 1;
          return left < 0 ? env.CONTROL_PLANE.get(id).purge(message) : Promise.reject(new Error("it is gone"));
        },
      }),
    } as unknown as Env["CONTROL_PLANE"],
  };
  const made = exchangeFor({ path: "/*", cache: { groupInvalidation: true } }, bindings, work);
  return {
    told,
    /** Passes on an answer to a POST; returns what the log would say is amiss. */
    answer: (groups: readonly string[]): readonly string[] | undefined => {
      const notes: Exchange["notes"] = {};
      const exchange = { ...made, canonical: { ...made.canonical, method: "POST" }, notes };
      const list = groups.map((group) => `"${group}"`).join(", ");
      invalidateGroups(exchange, new Response(null, { headers: { "cache-group-invalidation": list } }));
      return notes.degraded;
    },
    done: () => Promise.all(work),
  };
}

const named = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index}`);

it("tells ControlPlane once of the first, and once more of all that came meanwhile", async () => {
  const { answer, told, done } = isolate();
  answer(["first"]);
  for (let round = 0; round < 50; round += 1) answer(["first", `${round % 5}`]);
  await done();
  const rest = ["first", "0", "1", "2", "3", "4"];
  expect(told).toEqual([
    { kind: "groups", values: [tagOf("first")] },
    { kind: "groups", values: rest.map(tagOf) },
  ]);
});

it("tells of all groups where there are too many to name", async () => {
  const { answer, told, done } = isolate();
  for (const round of ["a", "b", "c", "d", "e", "f"]) answer(named(round, 64));
  await done();
  expect(told).toEqual([
    { kind: "groups", values: named("a", 64).map(tagOf) },
    { kind: "groups", values: [ALL_GROUPS] },
  ]);
});

it("tells again what ControlPlane has not heard, and knows it itself meanwhile", async () => {
  const { answer, told, done } = isolate({ failures: 2 });
  answer(["unheard"]);
  expect(invalidatedHere(tagOf("unheard"))).toBeTypeOf("number");
  await done();
  expect(told).toEqual(Array.from({ length: 3 }, () => ({ kind: "groups", values: [tagOf("unheard")] })));
});

it("says in the log that it has left out groups", async () => {
  const { answer, done } = isolate();
  expect([answer(named("all", 64)), answer(named("most", 65))]).toEqual([undefined, ["cache-groups"]]);
  await done();
});
