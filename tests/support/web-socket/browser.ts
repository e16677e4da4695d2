import type { Page } from "playwright-core";
import { startGateway } from "../gateway.ts";
import { startClientSite } from "./client-site.ts";
import { CutWire } from "./cut-wire.ts";
import { WebSocketOrigin } from "./origin.ts";
import { ANY_RATE } from "./proofs.ts";
import { listening, type StormEnd } from "./storm.ts";

declare global {
  /** In the page. */
  var resumeMs: number[];
}

/** A page in Chromium, and a gateway to which its connections can be cut. */
export interface BrowserHarness {
  readonly page: Page;
  readonly wire: CutWire;
  readonly origin: WebSocketOrigin;
  stop(): Promise<void>;
}

/** How often a page's connection fails, and how. */
export interface BrowserStorm {
  /** Each way. */
  readonly messages: number;
  readonly resets: number;
  readonly takeovers: number;
  readonly control: boolean;
}

/** Starts all of it. The route is `/live`, of mode `held`. */
export async function startBrowser(): Promise<BrowserHarness> {
  const [site, origin] = await Promise.all([startClientSite(), WebSocketOrigin.start()]);
  const stops = [() => origin.stop(), () => site.stop()];
  const stop = async () => {
    for (const end of stops.toReversed()) await end();
  };
  try {
    const gateway = await startGateway({
      config: {
        allowPrivateTargets: true,
        routes: [
          { id: "live", prefix: "/live", target: origin.url, webSocket: { mode: "held", ...ANY_RATE } },
          { id: "page", prefix: "/page", target: site.url },
        ],
      },
    });
    stops.push(() => gateway.kill());
    const wire = await CutWire.start(Number(new URL(gateway.url).port));
    stops.push(() => wire.stop());
    const page = await site.open(`http://127.0.0.1:${wire.port}/page`);
    return { page, wire, origin, stop };
  } catch (error) {
    // A browser that nobody closes lives on.
    await stop();
    throw error;
  }
}

/** Sends numbered messages both ways through a session of the page, whose connection fails again as soon as it is back. */
export async function browserStorm(
  { page, wire, origin }: BrowserHarness,
  { messages, resets, takeovers, control }: BrowserStorm,
): Promise<StormEnd> {
  const mark = `mark=${control}.`;
  await page.evaluate(open, { query: mark, hasControl: control });
  const upstream = listening(await origin.accept(mark));
  const blows = resets + takeovers;
  for (let blow = 0, sent = 0; blow < blows; blow += 1) {
    const until = Math.round((messages * (blow + 1)) / blows);
    for (let n = sent + 1; n <= until; n += 1) upstream.peer.text(`s${n}`);
    await page.evaluate(
      ({ from, to }) => {
        for (let n = from; n <= to; n += 1) socket.send(`c${n}`);
      },
      { from: sent + 1, to: until },
    );
    sent = until;
    // Evenly mixed.
    const isTakeover = Math.floor(((blow + 1) * takeovers) / blows) > Math.floor((blow * takeovers) / blows);
    if (isTakeover) await page.evaluate(() => socket.reconnect());
    else wire.reset();
    await page.waitForFunction(
      (count) => told.filter((what) => what === "resumed").length >= count || socket.readyState === 3,
      blow + 1,
    );
    if ((await page.evaluate(() => socket.readyState)) === 3) break;
  }
  await page.waitForFunction((total) => got.length >= total || socket.readyState === 3, messages);
  if ((await page.evaluate(() => socket.readyState)) === 1) await upstream.until(() => upstream.got.length >= messages);
  const seen = await page.evaluate(() => ({ got, told, resumeMs }));
  await page.evaluate(() => socket.close(1000));
  await upstream.peer.ended();
  // Else it tells that to whoever opens the next one.
  await page.waitForFunction(() => socket.readyState === 3);
  return { toOrigin: upstream.got, toClient: seen.got, told: seen.told, resumeMs: seen.resumeMs };
}

/** Runs in the page. */
async function open({ query, hasControl }: { query: string; hasControl: boolean }): Promise<void> {
  globalThis.got = [];
  globalThis.told = [];
  globalThis.resumeMs = [];
  let lostAt = 0;
  const options = { minDelayMs: 1, maxDelayMs: 20, stableMs: 0, control: hasControl };
  const made = new client.ResumableWebSocket(`/live/held?${query}`, [], options);
  globalThis.socket = made;
  made.addEventListener("message", ({ data }) => got.push(String(data)));
  made.addEventListener("reconnecting", () => {
    lostAt ||= performance.now();
  });
  made.addEventListener("resumed", () => {
    if (lostAt > 0) resumeMs.push(performance.now() - lostAt);
    lostAt = 0;
    told.push("resumed");
  });
  made.addEventListener("close", ({ code }) => told.push(`close ${code}`));
  await new Promise((resolve) => made.addEventListener("open", resolve));
}
