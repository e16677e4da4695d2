import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import type { Proof } from "../tests/support/proof.ts";
import { type Gate, runGates } from "./prove/run-gates.ts";
import { renderTable } from "./prove/table.ts";

const SUFFIX = ".gate.ts";
const directory = new URL("../tests/gates/", import.meta.url);

const names = readdirSync(fileURLToPath(directory), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(SUFFIX))
  .map((file) => file.slice(0, -SUFFIX.length))
  .sort();

const USAGE = `npm run prove -- [--only a,b]

  Measures what is promised about times, sizes and long runs, one gate after the other; exit code 1 when one fails.
  --only  gates to run, a folder for all that are in it, default all: ${names.join(", ")}`;

const { values } = parseArgs({ options: { only: { type: "string" }, help: { type: "boolean", default: false } } });

// A row that was waited for in vain may fail once more when what it has begun is ended.
process.on("unhandledRejection", (reason) => console.error(reason));

if (values.help) console.log(USAGE);
// What a gate that failed has left open must not keep the command from ending.
else process.exit(await prove(values.only?.split(",") ?? names));

async function prove(wanted: readonly string[]): Promise<number> {
  const chosen = wanted.map((one) => names.filter((name) => name === one || name.startsWith(`${one}/`)));
  const unknown = wanted.filter((_, index) => chosen[index]?.length === 0);
  if (unknown.length > 0) {
    console.error(`prove: got --only ${unknown.join(",")}, wanted some of ${names.join(", ")}`);
    return 2;
  }
  const proofs = await runGates([...new Set(chosen.flat())].map(gate), (name) => process.stderr.write(`${name} ...\n`));
  const row = ({ promise, bound, figure, pass }: Proof) => [promise, bound, figure, pass ? "ok" : "FAIL"];
  console.log(renderTable([["promise", "bound", "figure", "verdict"], ...proofs.map(row)]));
  for (const { promise, names: counted } of proofs) if (counted !== undefined) console.log(`${promise}: ${counted}`);
  const failed = proofs.filter(({ pass }) => !pass).length;
  console.log(failed === 0 ? "every promise holds" : `${failed} of ${proofs.length} promises do not hold`);
  return failed === 0 ? 0 : 1;
}

function gate(name: string): Gate {
  return {
    name,
    run: async () => {
      const module: { run: () => Promise<readonly Proof[]> } = await import(`${directory.href}${name}${SUFFIX}`);
      return module.run();
    },
  };
}
