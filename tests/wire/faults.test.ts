import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { isWhole } from "../support/message-body.ts";
import { Origin, refusingUrl, startClosingOrigin } from "../support/origin/origin.ts";
import { problemOf } from "../support/problem.ts";
import { type RawAnswer, exchange } from "../support/raw-client.ts";
import { type RawRequest, request } from "../support/raw-request.ts";
import { documentedRow, type FaultRow, faultRows } from "./faults.table.ts";

/** The three ways a request can carry a body, each another path through the gateway. */
const KINDS = [
  ["GET", {}],
  ["POST", { method: "POST", body: "a declared body" }],
  ["streamed POST", { method: "POST", chunks: ["a streamed ", "body"] }],
] as const satisfies readonly (readonly [string, Partial<RawRequest>])[];

let origin: Origin;
let closing: Awaited<ReturnType<typeof startClosingOrigin>>;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  closing = await startClosingOrigin();
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      routes: [
        { prefix: "/patient", target: origin.url },
        { prefix: "/hasty", target: origin.url, timeouts: { headers: 500, idle: 500 } },
        { prefix: "/refuse", target: await refusingUrl() },
        { prefix: "/accept-and-close", target: closing.url },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await closing?.stop();
  await origin?.stop();
});

describe.each(KINDS)("%s to an origin that fails", (_, kind) => {
  test.each(faultRows.map((row) => [row.fault, row] as const))("%s", async (_name, row) => {
    const answer = await exchange(gateway.url, request({ ...kind, target: targetOf(row) }));
    expect(outcomeOf(answer)).toEqual(row.answer);

    const next = await exchange(gateway.url, request({ target: `/patient/after/${row.by}` }));
    expect(next?.status).toBe(200);
    expect(JSON.parse(next?.body.toString() ?? "")).toMatchObject({ target: `/after/${row.by}` });
    await origin.until("every request to have ended at the origin", ({ busy }) => busy === 0);
  });
});

test("the design page shows the rows that were run, in their order", async () => {
  const page = await readFile(new URL("../../docs/design/faults.md", import.meta.url), "utf8");
  const rows = page.split("\n").filter((line) => /^\| .* \| \d{3}/.test(line));
  // The formatter pads cells to the width of their column.
  const shown = rows.map((line) => line.replaceAll(/ +\|/g, " |"));
  expect(shown).toEqual(faultRows.map(documentedRow));
});

function targetOf(row: FaultRow): string {
  if (row.by === "refuse" || row.by === "accept-and-close") return `/${row.by}`;
  return `/${row.route ?? "patient"}/fault/${row.by}`;
}

/** An answer in the words of the table. */
function outcomeOf(answer: RawAnswer | undefined): unknown {
  if (answer === undefined) return "the connection ended without an answer";
  const problem = problemOf(answer);
  if (problem !== undefined) return problem;
  if (isWhole(answer.end)) return { status: answer.status, body: answer.body.toString() };
  return { status: answer.status, cut: true };
}
