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
  { name: "GET", with: {} },
  { name: "POST", with: { method: "POST", body: "a declared body" } },
  { name: "streamed POST", with: { method: "POST", chunks: ["a streamed ", "body"] } },
] as const satisfies readonly { readonly name: string; readonly with: Partial<RawRequest> }[];

/** The gateways that every fault is tried at, by their place in the list, and the route of a row there. */
const GATEWAYS = [
  { name: "with nothing configured", place: 0, routeOf: (row: FaultRow) => placeOf(row) },
  // A breaker belongs to a target: each row has one of its own, which begins closed.
  { name: "with breaker and retries", place: 1, routeOf: (row: FaultRow, kind: string) => guardedPlace(row, kind) },
] as const;

const SCENES = GATEWAYS.flatMap((gateway) => KINDS.map((kind) => ({ gateway, kind })));
const HASTY = { headers: 500, idle: 500 };
/** For what is silent only once its answer has begun: a busy machine may take its time for the head. */
const HASTY_BODY = { headers: 5_000, idle: 500 };
/** For what goes on all the time, and for longer than that. */
const STEADY = { headers: 5_000, idle: 1_500 };
const DEADLINES = { hasty: HASTY, "hasty-body": HASTY_BODY, steady: STEADY };
/** So many that nothing is ever kept from being tried again. */
const RETRY = { maxRetries: 2, budget: { ratio: 1, perSecond: 1_000 } };

let origin: Origin;
let closing: Awaited<ReturnType<typeof startClosingOrigin>>;
let gateways: readonly Gateway[] = [];

beforeAll(async () => {
  origin = await Origin.start();
  closing = await startClosingOrigin();
  const urls = { patient: origin.url, refuse: await refusingUrl(), "accept-and-close": closing.url };
  gateways = [await startGateway({ config: plain(urls) }), await startGateway({ config: guarded(urls) })];
});

afterAll(async () => {
  for (const gateway of gateways) await gateway.stop();
  await closing?.stop();
  await origin?.stop();
});

describe.each(SCENES)("$gateway.name, $kind.name to an origin that fails", ({ gateway, kind }) => {
  test.each(faultRows.map((row) => [row.fault, row] as const))("%s", async (_, row) => {
    const { url = "" } = gateways[gateway.place] ?? {};
    const route = gateway.routeOf(row, kind.name);
    const before = origin.seen.length;
    const answer = await exchange(url, request({ ...kind.with, target: targetOf(route, row) }));
    expect(outcomeOf(answer)).toEqual(row.answer);
    if (kind.name !== "GET") expect(origin.seen.length - before).toBe(isElsewhere(row) ? 0 : 1);

    // At the same target, without the deadlines, which a busy machine may not meet.
    const next = isElsewhere(row) ? "patient" : row.route === undefined ? route : `${route}-later`;
    const served = await exchange(url, request({ target: `/${next}/after/${row.by}` }));
    expect(served?.status).toBe(200);
    expect(JSON.parse(served?.body.toString() ?? "").target).toMatch(new RegExp(`/after/${row.by}$`));
    await origin.until("every request to have ended at the origin", ({ busy }) => busy === 0);
  });
});

test.each(KINDS)(
  "with a breaker, $name to a target that goes on failing is refused, and others are served",
  async (kind) => {
    const { url = "" } = gateways[1] ?? {};
    const told = [];
    // Five failures open the breaker; a GET may make three of them.
    for (let asked = 0; asked < 6; asked += 1) {
      const target = `/failing-${nameOf(kind.name)}/fault/close-before-head`;
      told.push(outcomeOf(await exchange(url, request({ ...kind.with, target }))));
    }
    expect(told[0]).toEqual({ status: 502, code: "upstream-unreachable" });
    expect(told[5]).toEqual({ status: 503, code: "breaker-open" });
    expect((await exchange(url, request({ target: "/patient/after" })))?.status).toBe(200);
  },
);

test("the design page shows the rows that were run, in their order", async () => {
  const page = await readFile(new URL("../../docs/design/faults.md", import.meta.url), "utf8");
  const rows = page.split("\n").filter((line) => /^\| .* \| \d{3}/.test(line));
  // The formatter pads cells to the width of their column.
  const shown = rows.map((line) => line.replaceAll(/ +\|/g, " |"));
  expect(shown).toEqual(faultRows.map(documentedRow));
});

type Urls = Readonly<Record<"patient" | "refuse" | "accept-and-close", string>>;

function placeOf(row: FaultRow): string {
  if (row.by === "refuse" || row.by === "accept-and-close") return row.by;
  return row.route ?? "patient";
}

function urlFor({ by }: FaultRow, urls: Urls): string {
  return by === "refuse" || by === "accept-and-close" ? urls[by] : urls.patient;
}

function guardedPlace(row: FaultRow, kind: string): string {
  return `${nameOf(kind)}-${faultRows.indexOf(row)}`;
}

function nameOf(kind: string): string {
  return kind.replace(" ", "-");
}

/** Whether the row is about an address that is no working origin. */
function isElsewhere(row: FaultRow): boolean {
  return row.by === "refuse" || row.by === "accept-and-close";
}

function targetOf(route: string, row: FaultRow): string {
  return isElsewhere(row) ? `/${route}` : `/${route}/fault/${row.by}`;
}

function plain(urls: Urls): unknown {
  const routes = Object.entries(urls).map(([place, target]) => ({ prefix: `/${place}`, target }));
  const timed = Object.entries(DEADLINES).flatMap(([place, timeouts]) => inTime(place, urls.patient, timeouts));
  return { allowPrivateTargets: true, routes: [...routes, ...timed] };
}

/** A route with deadlines, and one without to the same target. */
function inTime(place: string, target: string, timeouts: object): readonly object[] {
  return [
    { prefix: `/${place}`, target, timeouts },
    { prefix: `/${place}-later`, target },
  ];
}

function guarded(urls: Urls): unknown {
  const rows = KINDS.flatMap(({ name }) =>
    faultRows.flatMap((row) => {
      const place = guardedPlace(row, name);
      const target = `${urlFor(row, urls)}/${place}`;
      return row.route === undefined ? [{ prefix: `/${place}`, target }] : inTime(place, target, DEADLINES[row.route]);
    }),
  );
  const failing = KINDS.map(({ name }) => `failing-${nameOf(name)}`);
  return {
    allowPrivateTargets: true,
    circuitBreaker: true,
    retry: RETRY,
    routes: [
      ...rows,
      ...failing.map((place) => ({ prefix: `/${place}`, target: `${urls.patient}/${place}` })),
      { prefix: "/patient", target: urls.patient },
    ],
  };
}

/** An answer in the words of the table. */
function outcomeOf(answer: RawAnswer | undefined): unknown {
  if (answer === undefined) return "the connection ended without an answer";
  const problem = problemOf(answer);
  if (problem !== undefined) return problem;
  if (isWhole(answer.end)) return { status: answer.status, body: answer.body.toString() };
  return { status: answer.status, cut: true };
}
