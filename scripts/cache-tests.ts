import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { startGateway } from "../tests/support/gateway.ts";
import { complaintsOf, exceptionRows, otherRows, PROFILES, scoreRows, unexplained } from "./cache-tests/report.ts";
import { verdictsOf, type Results, type SuiteTest } from "./cache-tests/score.ts";
import { publishedResults, readTests, runClient, startOrigin } from "./cache-tests/suite.ts";
import { renderTable } from "./prove/table.ts";

const USAGE = `npm run cache-tests -- [--suite DIRECTORY] [--verbose]

  Runs the public test suite for HTTP caches through a gateway of its own, with the shipped defaults and with a route that
  is as open as one can be; exit code 1 where a required test is not passed that docs/guide/cache-conformance.md doesn't list.
  --suite    a copy of the suite, default the package http-cache-tests
  --verbose  the optimal tests and the checks that are not passed, too`;

const { values } = parseArgs({
  options: { suite: { type: "string" }, verbose: { type: "boolean", default: false }, help: { type: "boolean" } },
});

if (values.help === true) console.log(USAGE);
else process.exitCode = await measure(values.suite ?? installed(), values.verbose);

async function measure(directory: string, isVerbose: boolean): Promise<number> {
  const tests = await readTests(directory);
  const origin = await startOrigin(directory);
  try {
    const runs = await Promise.all(PROFILES.map(({ cache }) => run({ directory, tests, target: origin.url, cache })));
    const judged = runs.map((results) => verdictsOf(tests, results));
    const published = await publishedResults(directory);
    const others = published.map(([name, results]) => [`${name}, published`, verdictsOf(tests, results)] as const);
    console.log(`${tests.length} tests, dependencies honoured\n\n${renderTable(scoreRows(tests, judged, others))}`);
    console.log(`\nrequired tests that are not passed\n\n${renderTable(exceptionRows(judged))}`);
    if (isVerbose) console.log(`\nother tests that are not passed\n\n${renderTable(otherRows(tests, judged))}`);
    const complaints = complaintsOf(tests, judged);
    for (const complaint of complaints) console.log(complaint);
    return complaints.length === 0 ? 0 : 1;
  } finally {
    await origin.stop();
  }
}

interface Run {
  readonly directory: string;
  readonly tests: readonly SuiteTest[];
  readonly target: string;
  readonly cache: unknown;
}

/**
 * What came of all tests. Some ask twice without a pause, and on a machine that is busy what the first answer left may not be written yet:
 * what fails for no known reason is asked once more by itself, and said so.
 */
async function run({ directory, tests, target, cache }: Run): Promise<Results> {
  const gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      rateLimits: false,
      sizeLimits: false,
      routes: [{ prefix: "/", target, cache }],
    },
  });
  try {
    const results = await runClient(directory, gateway.url);
    const again = unexplained(tests, verdictsOf(tests, results));
    if (again.length === 0) return results;
    console.log(`asked again by themselves: ${again.join(", ")}`);
    return { ...results, ...(await runClient(directory, gateway.url, again)) };
  } finally {
    await gateway.stop();
  }
}

function installed(): string {
  return dirname(fileURLToPath(import.meta.resolve("http-cache-tests/package.json")));
}
