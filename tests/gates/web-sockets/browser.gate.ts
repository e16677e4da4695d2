import type { Proof } from "../../support/proof.ts";
import { browserStorm, startBrowser, type BrowserHarness } from "../../support/web-socket/browser.ts";
import { each, resumeTimes, rows } from "../../support/web-socket/proofs.ts";
import { numbered, sameSequence } from "../../support/web-socket/storm.ts";

const STORM = { messages: 20_000, resets: 200, takeovers: 100 };
/** As many as on Node: see resume.gate.ts. */
const STORMS = 3;

/** The client in Chromium: the same storm as on Node. */
export async function run(): Promise<readonly Proof[]> {
  const harness = await startBrowser();
  try {
    return [
      ...(await rows("Chromium", () => weathered(harness, false), 120_000)),
      ...(await rows("Chromium with control frames", () => weathered(harness, true), 120_000)),
    ];
  } finally {
    await harness.stop();
  }
}

async function weathered(harness: BrowserHarness, control: boolean): Promise<readonly Proof[]> {
  const what = `Chromium${control ? ", with control frames" : ""}: 200 resets and 100 take-overs`;
  const { messages } = STORM;
  const wrong: string[] = [];
  const taken: number[] = [];
  for (let n = 0; n < STORMS; n++) {
    const { toOrigin, toClient, told, resumeMs } = await browserStorm(harness, { ...STORM, control });
    const isWhole = sameSequence(toOrigin, numbered("c", messages)) && sameSequence(toClient, numbered("s", messages));
    if (!isWhole) wrong.push(`${toOrigin.length} and ${toClient.length} came; ${told.at(-1)}`);
    taken.push(...resumeMs);
  }
  return [
    each(`${what} in ${messages} messages each way: storms with none lost, doubled or out of order`, STORMS, wrong),
    resumeTimes(what, taken),
  ];
}
