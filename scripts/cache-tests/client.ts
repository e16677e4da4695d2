import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import * as v from "valibot";

// A process for each run, as the suite's client remembers its results: DIRECTORY BASE [ID...] prints them as JSON. It does what the
// suite's own command line does, for fewer tests at a time: that one's hundred measure the machine, too.
const AT_ONCE = 25;
const [directory = "", base = "", ...ids] = process.argv.slice(2);

const Suite = v.looseObject({ tests: v.array(v.looseObject({ id: v.string() })) });
const [runner, index, surrogate] = await Promise.all([
  load("client/runner.mjs"),
  load("tests/index.mjs"),
  load("tests/surrogate-control.mjs"),
]);
const { runTests, getResults } = v.parse(v.looseObject({ runTests: v.function(), getResults: v.function() }), runner);
const suites = v.parse(v.array(Suite), [...v.parse(v.array(v.unknown()), index["default"]), surrogate["default"]]);
if (ids.length > 0) for (const suite of suites) suite.tests = suite.tests.filter(({ id }) => ids.includes(id));
const fetching = createRequire(pathToFileURL(`${directory}/cli.mjs`))("node-fetch");
await runTests(suites, fetching, false, base, ids.length === 0 ? AT_ONCE : 1);
console.log(JSON.stringify(getResults()));

async function load(file: string): Promise<Readonly<Record<string, unknown>>> {
  const module: Readonly<Record<string, unknown>> = await import(pathToFileURL(`${directory}/${file}`).href);
  return module;
}
