import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../../support/gateway.ts";
import { valueOf } from "../../support/message-head.ts";
import { Origin } from "../../support/origin/origin.ts";
import type { SeenRequest } from "../../support/origin/seen-request.ts";
import { problemOf } from "../../support/problem.ts";
import { type RawAnswer, exchange } from "../../support/raw-client.ts";
import { headerRows } from "./headers.table.ts";
import { pathRows } from "./paths.table.ts";
import { hostileConfig, type HostileAnswer } from "./rows.ts";
import { sizeRows } from "./sizes.table.ts";
import { targetRows } from "./targets.table.ts";

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({ config: hostileConfig(origin.url) });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

describe.each([
  ["paths", pathRows],
  ["request lines, methods and hosts", targetRows],
  ["headers", headerRows],
  ["sizes and framing", sizeRows],
] as const)("%s", (_, rows) => {
  test.each(rows.map((row) => [row.attack, row] as const))("%s", async (_attack, { bytes, answer }) => {
    const before = origin.seen.length;
    const got = await exchange(gateway.url, bytes);
    expect(outcomeOf(got, origin.seen.slice(before), answer)).toEqual(answer);
  });
});

test("the table holds at least 60 attacks", () => {
  expect(pathRows.length + targetRows.length + headerRows.length + sizeRows.length).toBeGreaterThanOrEqual(60);
});

/** An answer and what the origin saw meanwhile, in the words of the table; only what the row speaks of is looked at. */
function outcomeOf(got: RawAnswer | undefined, seen: readonly SeenRequest[], wanted: HostileAnswer): unknown {
  if (got === undefined) return "the connection ended without an answer";
  const problem = problemOf(got);
  const [first, second] = seen;
  if (first === undefined) {
    const allow = valueOf(got.headers, "allow");
    return { ...(problem ?? { status: got.status, by: "runtime" }), ...(allow === undefined ? {} : { allow }) };
  }
  if (second !== undefined || problem !== undefined) return { problem, seen };
  const forwarded = "target" in wanted ? wanted : undefined;
  return {
    status: got.status,
    target: first.target,
    ...(forwarded?.method === undefined ? {} : { method: first.method }),
    ...(forwarded?.body === undefined ? {} : { body: first.bodyText }),
    ...(forwarded?.headers === undefined ? {} : { headers: headersOf(first, Object.keys(forwarded.headers)) }),
  };
}

function headersOf(seen: SeenRequest, names: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(names.map((name) => [name, valueOf(seen.headers, name)]));
}
