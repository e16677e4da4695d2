import { madeUpKeys } from "../support/fleet/made-up-keys.ts";
import type { Proof } from "../support/proof.ts";

const CLIENTS = 100_000;
/** Long enough for a sweep's pause and the minute that a record outlives its use to fit into two of them. */
const WINDOW_S = 120;
/** A gateway without a continent to go by has one pool. */
const MOST_OBJECTS = 256;
/** What docs promise of one table; the names of a pool's objects are the one other list. */
const LARGEST_TABLE = 1_000;
/** A table takes a new entry in before the oldest leaves. */
const SLACK = 1;

/** A hundred thousand made-up header values and addresses cost bounded memory, and storage for two windows. */
export async function run(): Promise<Proof[]> {
  const windows = 2_000 * WINDOW_S;
  const report = await madeUpKeys({ clients: CLIENTS, windowSeconds: WINDOW_S, laterMs: windows });
  const { tables, residentMb, storage, storageLater, admitted, otherwise, admittedAgain, returned } = report;
  const largest = Math.max(...tables.map(({ largestEver }) => largestEver));
  const sizes = tables.map(({ now }, isolate) => `isolate ${isolate} holds ${describe(now)}`);
  const most = Math.max(...storage.owners.values());
  return [
    {
      promise: `tables of an isolate after ${CLIENTS} made-up clients`,
      bound: `<= ${LARGEST_TABLE} entries each`,
      figure: `${largest}; ${sizes.join("; ")}; runtime ${residentMb[0]} MB before, ${residentMb[1]} MB after`,
      pass: largest <= LARGEST_TABLE + SLACK,
    },
    {
      promise: "objects for them",
      bound: `<= ${MOST_OBJECTS}, each client in one`,
      figure: `${storage.objects}; ${storage.owners.size} clients with rows, in at most ${most} each`,
      pass: storage.objects <= MOST_OBJECTS && most === 1,
    },
    {
      promise: "one request a window each, also of those who come again to another isolate",
      bound: `${CLIENTS} and 0`,
      figure: `${admitted}, and ${admittedAgain} of ${returned} who came again; otherwise ${JSON.stringify(otherwise)}`,
      pass: admitted === CLIENTS && admittedAgain === 0,
    },
    {
      promise: `rows left two windows (${windows / 1_000} s) after the last request`,
      bound: "0",
      figure: `${storageLater.rows} of ${storage.rows}`,
      pass: storageLater.rows === 0 && storage.rows > 0,
    },
  ];
}

function describe(sizes: readonly number[]): string {
  const shown = sizes.slice(0, 6).join(", ");
  return `${sizes.length} tables of 100 entries or more (${shown}${sizes.length > 6 ? ", ..." : ""})`;
}
