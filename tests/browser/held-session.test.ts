import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserStorm, startBrowser, type BrowserHarness } from "../support/web-socket/browser.ts";
import { CHROMIUM } from "../support/web-socket/client-site.ts";
import { numbered } from "../support/web-socket/storm.ts";

const TOTAL = 600;

describe.skipIf(!existsSync(CHROMIUM))("in Chromium, through the gateway", () => {
  let harness: BrowserHarness;

  beforeAll(async () => {
    harness = await startBrowser();
  });

  afterAll(() => harness?.stop());

  it.each([
    ["greeted", false],
    ["with control frames", true],
  ])(
    "a client %s loses, doubles and reorders nothing though its connection fails all the time",
    async (_how, control) => {
      const end = await browserStorm(harness, { messages: TOTAL, resets: 20, takeovers: 10, control });
      expect(end.toOrigin).toEqual(numbered("c", TOTAL));
      expect(end.toClient).toEqual(numbered("s", TOTAL));
      expect(end.told).toEqual(Array<string>(30).fill("resumed"));
    },
  );
});
