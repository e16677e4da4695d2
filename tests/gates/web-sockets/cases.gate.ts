import { failedOf, isRuntimes, runCases, startCaseServers } from "../../support/web-socket-cases/case-servers.ts";
import { deflateCases, sizeCases, strictCases } from "../../support/web-socket-cases/families.ts";
import type { Proof } from "../../support/proof.ts";
import { each, within } from "../../support/web-socket/proofs.ts";

/** Sizes up to 4 MiB, a thousand messages in a row, and compressed ones. */
const LARGE = [...sizeCases(4 * 2 ** 20, 1_000), ...deflateCases()];
/** A large case needs the machine for itself, or it is judged by its neighbours. */
const AT_ONCE = 2;
const PATIENCE_MS = 180_000;
/** 6.x: text that is no UTF-8. */
const OF_UTF8 = 75;
/** The runtime's too, and demanded all the same. They are stricter here: Autobahn's suite does not fail them for the code of the answer. */
const BY_CODE: ReadonlySet<string> = new Set(["7.3.2", "7.9.4"]);

/** Own cases by the families of the Autobahn Testsuite: what a relay changes of them. */
export async function run(): Promise<readonly Proof[]> {
  const servers = await startCaseServers();
  try {
    return [...(await strict(servers)), ...(await large(servers))];
  } finally {
    await servers.stop();
  }
}

type Servers = Awaited<ReturnType<typeof startCaseServers>>;

async function strict(servers: Servers): Promise<readonly Proof[]> {
  const cases = strictCases();
  const through = (mode: "direct" | "splice" | "bridge") =>
    within(`the cases of ${mode}`, runCases(servers[mode], cases), PATIENCE_MS);
  const direct = await through("direct");
  const splice = await through("splice");
  const failed = failedOf(await through("bridge"));
  const others = failed.filter((id) => !isRuntimes(id) || BY_CODE.has(id));
  const utf8 = failed.filter((id) => id.startsWith("6."));
  const named = [`${utf8.length} of 6.x`, ...failed.filter((id) => !utf8.includes(id))].join(", ");
  return [
    each("families 1 to 7 and 10: cases of the origin itself", cases.length, failedOf(direct)),
    each(
      "families 1 to 7 and 10: cases that a splice ends as the origin does",
      cases.length,
      differing(direct, splice),
    ),
    {
      promise: "families 1 to 7 and 10: cases that a bridge does not fail",
      bound: `>= ${cases.length - OF_UTF8 - 4}; but 6.x, 2.5, 2.10, 2.11, 7.5.1`,
      figure: `${cases.length - failed.length} of ${cases.length}; failed: ${named}`,
      pass: others.length === 0 && utf8.length <= OF_UTF8,
    },
  ];
}

async function large(servers: Servers): Promise<readonly Proof[]> {
  const through = (mode: "direct" | "splice" | "bridge") =>
    within(`the large cases of ${mode}`, runCases(servers[mode], LARGE, AT_ONCE), PATIENCE_MS);
  const direct = await through("direct");
  return [
    each("families 9, 12 and 13: cases of the origin itself", LARGE.length, failedOf(direct)),
    each(
      "families 9, 12 and 13: cases that a splice ends as the origin does",
      LARGE.length,
      differing(direct, await through("splice")),
    ),
    each("families 9, 12 and 13: cases that a bridge does not fail", LARGE.length, failedOf(await through("bridge"))),
  ];
}

function differing(direct: ReadonlyMap<string, string>, relayed: ReadonlyMap<string, string>): readonly string[] {
  return [...direct].filter(([id, result]) => relayed.get(id) !== result).map(([id]) => id);
}
