import type { Proof } from "../../support/proof.ts";
import { browserStorm, startBrowser, type BrowserHarness } from "../../support/web-socket/browser.ts";
import { resumeTimes, rows } from "../../support/web-socket/proofs.ts";
import { numbered, sameSequence } from "../../support/web-socket/storm.ts";

const STORM = { messages: 20_000, resets: 200, takeovers: 100 };

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
  const { toOrigin, toClient, told, resumeMs } = await browserStorm(harness, { ...STORM, control });
  const isWhole = sameSequence(toOrigin, numbered("c", messages)) && sameSequence(toClient, numbered("s", messages));
  return [
    {
      promise: `${what} in ${messages} messages each way: lost, doubled or out of order`,
      bound: "0",
      figure: isWhole ? "0" : `${toOrigin.length} and ${toClient.length} came; ${told.at(-1)}`,
      pass: isWhole,
    },
    resumeTimes(what, resumeMs),
  ];
}
