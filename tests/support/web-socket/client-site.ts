import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium, type Page } from "playwright-core";
import type * as Client from "../../../clients/websocket/resumable-web-socket.ts";
import { closed, listening } from "../web-socket-peers/peer.ts";

declare global {
  /** What the page has loaded. */
  var client: typeof Client;
  var socket: Client.ResumableWebSocket;
  var got: string[];
  var told: string[];
}

/** Debian's, or another that is named. */
export const CHROMIUM = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium";

/** Chromium, and a site of whose pages each has the client as an application bundles it. */
export interface ClientSite {
  readonly url: string;
  /** Opens a page of the site's, or the same through another server. */
  open(url?: string): Promise<Page>;
  stop(): Promise<void>;
}

/** Starts both. */
export async function startClientSite(): Promise<ClientSite> {
  const entry = fileURLToPath(new URL("../../../clients/websocket/resumable-web-socket.ts", import.meta.url));
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
  const url = `http://127.0.0.1:${await listening(server)}/`;
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
  return {
    url,
    async open(at = url) {
      const page = await browser.newPage();
      await page.goto(at);
      return page;
    },
    async stop() {
      await browser.close();
      await closed(server);
    },
  };
}
