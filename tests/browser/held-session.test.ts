import { existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type * as Client from "../../clients/websocket/resumable-web-socket.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { CutWire } from "../support/web-socket/cut-wire.ts";
import { WebSocketOrigin } from "../support/web-socket/origin.ts";
import { listening, numbered } from "../support/web-socket/storm.ts";

declare global {
  /** What the page has loaded. */
  var client: typeof Client;
  var socket: Client.ResumableWebSocket;
  var got: string[];
  var resumes: number;
}

const CHROMIUM = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium";
const TOTAL = 600;

/** A page with the client as an application bundles it. */
async function startSite(): Promise<Server> {
  const entry = fileURLToPath(new URL("../../clients/websocket/resumable-web-socket.ts", import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "iife",
    globalName: "client",
    minify: true,
  });
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end(`<!doctype html><script>${outputFiles[0]?.text ?? ""}</script>`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

describe.skipIf(!existsSync(CHROMIUM))("in Chromium, through the gateway", () => {
  let browser: Browser;
  let site: Server;
  let origin: WebSocketOrigin;
  let gateway: Gateway;
  let wire: CutWire;
  let page: Page;

  beforeAll(async () => {
    [browser, site, origin] = await Promise.all([
      chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] }),
      startSite(),
      WebSocketOrigin.start(),
    ]);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on TCP has such an address
    const { port } = site.address() as AddressInfo;
    const webSocket = { mode: "held", fromClient: { messagesPerSecond: false } };
    gateway = await startGateway({
      config: {
        allowPrivateTargets: true,
        routes: [
          { id: "live", prefix: "/live", target: origin.url, webSocket },
          { id: "page", prefix: "/page", target: `http://127.0.0.1:${port}` },
        ],
      },
    });
    wire = await CutWire.start(Number(new URL(gateway.url).port));
    page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${wire.port}/page`);
  });

  afterAll(async () => {
    await browser.close();
    await wire.stop();
    await gateway.kill();
    await origin.stop();
    site.closeAllConnections();
    await new Promise((resolve) => site.close(resolve));
  });

  it.each([
    ["asked by plain GETs", false],
    ["with control frames", true],
  ])(
    "a client %s loses, doubles and reorders nothing though its connection fails all the time",
    async (_how, control) => {
      const mark = `mark=${control}.`;
      await page.evaluate(
        async ({ query, hasControl }) => {
          globalThis.got = [];
          globalThis.resumes = 0;
          const options = { minDelayMs: 1, maxDelayMs: 20, control: hasControl };
          const made = new client.ResumableWebSocket(`/live/held?${query}`, [], options);
          globalThis.socket = made;
          made.addEventListener("message", ({ data }) => got.push(String(data)));
          made.addEventListener("resumed", () => {
            resumes += 1;
          });
          await new Promise((resolve) => made.addEventListener("open", resolve));
        },
        { query: mark, hasControl: control },
      );
      const upstream = listening(await origin.accept(mark));
      for (let sent = 0, blow = 0; sent < TOTAL; sent += 20, blow += 1) {
        for (let index = 1; index <= 20; index += 1) upstream.peer.text(`s${sent + index}`);
        await page.evaluate((from) => {
          for (let index = 1; index <= 20; index += 1) socket.send(`c${from + index}`);
        }, sent);
        if (blow % 3 === 2) await page.evaluate(() => socket.reconnect());
        else wire.reset();
        await page.waitForFunction((count) => resumes >= count, blow + 1);
      }
      await upstream.until(() => upstream.got.length >= TOTAL);
      await page.waitForFunction((total) => got.length >= total, TOTAL);
      expect(upstream.got).toEqual(numbered("c", TOTAL));
      expect(await page.evaluate(() => got)).toEqual(numbered("s", TOTAL));
      expect(await page.evaluate(() => [socket.readyState, resumes])).toEqual([1, TOTAL / 20]);
      await page.evaluate(() => socket.close(1000));
      expect(await upstream.peer.ended()).toMatchObject({ code: 1000 });
    },
  );
});
