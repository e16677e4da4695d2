import { existsSync } from "node:fs";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ResumableOptions } from "../../clients/websocket/resumable-web-socket.ts";
import { createRandom } from "../simulation/random.ts";
import { CHROMIUM, startClientSite, type ClientSite } from "../support/web-socket/client-site.ts";
import { EchoOrigin } from "../support/web-socket/echo-origin.ts";
import { BROWSER_PROBES, STANDARD_PROBES } from "../support/web-socket/standard-probes.ts";
import { ResumeRelay } from "../support/web-socket/resume-relay.ts";

declare global {
  /** In the page. */
  var tries: number;
}

/** What of a client's options can be handed to a page. */
type Tuning = Pick<ResumableOptions, "control" | "minDelayMs" | "maxDelayMs">;

const TOTAL = 1_500;

/** Of another origin than the relay. */
let site: ClientSite;
let page: Page;
let relay: ResumeRelay;

/** As texts, since what they use of a page has no types here. */
const PAGE_PROBES = {
  "URLs of a page": `(Socket) => {
    const base = document.createElement("base");
    base.href = "/folder/";
    document.head.append(base);
    const urls = ["/a", "b?c", "//other/d", ""].map((url) => {
      const socket = new Socket(url);
      socket.close();
      return socket.url;
    });
    base.remove();
    return urls;
  }`,
  "what comes from another frame": `async (Socket, echo) => {
    const frame = document.createElement("iframe");
    document.body.append(frame);
    const socket = new Socket(echo);
    socket.binaryType = "arraybuffer";
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    const got = [];
    for (const made of ["new ArrayBuffer(2)", "new Uint8Array([7])", "new Blob(['b'])", "new File(['f'], 'n')"]) {
      socket.send(frame.contentWindow.eval(made));
      const { data } = await new Promise((resolve) => socket.addEventListener("message", resolve, { once: true }));
      got.push(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data);
    }
    socket.close();
    frame.remove();
    return got;
  }`,
};

describe.skipIf(!existsSync(CHROMIUM))("in Chromium, a client", () => {
  beforeAll(async () => {
    site = await startClientSite();
  });

  afterAll(() => site?.stop());

  beforeEach(async () => {
    relay = await ResumeRelay.start();
    page = await site.open();
  });

  afterEach(async () => {
    await page.close();
    await relay.stop();
  });

  /** Opens a session in the page. */
  async function open(options: Tuning = {}): Promise<void> {
    await page.evaluate(
      async ({ url, given }) => {
        globalThis.got = [];
        globalThis.told = [];
        globalThis.tries = 0;
        const made = new client.ResumableWebSocket(url, [], { minDelayMs: 1, maxDelayMs: 20, ...given });
        globalThis.socket = made;
        made.addEventListener("message", ({ data }) => got.push(String(data)));
        made.addEventListener("lost", ({ detail }) =>
          told.push(
            `lost ${detail.code}: ${detail.unconfirmed.map((text) => (typeof text === "string" ? text : "binary")).join(" ")}`,
          ),
        );
        made.addEventListener("reconnecting", () => {
          tries += 1;
        });
        made.addEventListener("close", (event) => {
          told.push(`${event.constructor.name} ${event.code} ${event.wasClean}`);
        });
        await new Promise((resolve) => made.addEventListener("open", resolve));
      },
      { url: relay.url, given: options },
    );
  }

  function session() {
    const [first] = relay.sessions;
    if (first === undefined) throw new Error("the relay has no session");
    return first;
  }

  it.each([
    ["greeted", { control: false }, true],
    ["asked by plain GETs of another origin", { control: false }, false],
    ["with control frames", { control: true }, true],
  ])(
    "loses, doubles and reorders nothing though its connection fails all the time, %s",
    async (_how, options, greets) => {
      relay.greets = greets;
      await open(options);
      const relayed = session();
      const random = createRandom(11);
      let failures = 0;
      let sent = 0;
      while (sent < TOTAL) {
        const burst = Math.min(TOTAL - sent, random.integer(1, 40));
        for (let index = 1; index <= burst; index += 1) relayed.send(`s${sent + index}`);
        await page.evaluate(
          ({ from, count }) => {
            for (let index = 1; index <= count; index += 1) socket.send(`c${from + index}`);
          },
          { from: sent, count: burst },
        );
        sent += burst;
        failures += 1;
        if (random.next() < 0.7) relayed.reset();
        else await page.evaluate(() => socket.reconnect());
        // Of both sides: whoever lags by more than the ring holds has lost his session, and on a busy machine one does.
        await page.waitForFunction((count) => got.length >= count || told.length > 0, sent - 30);
        expect(await page.evaluate(() => told)).toEqual([]);
        await relay.until(() => relayed.got.length >= sent - 30);
      }
      await relay.until(() => relayed.got.length >= TOTAL);
      await page.waitForFunction((total) => got.length >= total, TOTAL);
      const numbers = Array.from({ length: TOTAL }, (_, index) => index + 1);
      expect(relayed.got).toEqual(numbers.map((number) => `c${number}`));
      expect(await page.evaluate(() => got)).toEqual(numbers.map((number) => `s${number}`));
      expect([failures > 50, relay.sessions.length]).toEqual([true, 1]);
    },
  );

  it("asks nothing by GET on a page of another origin, which may not read the answer", async () => {
    await open();
    session().reset();
    await relay.until(() => session().resume.status().live);
    session().send("back");
    await page.waitForFunction(() => got.length === 1);
    expect([await page.evaluate(() => [...got, ...told]), relay.gets]).toEqual([["back"], 0]);
  });

  it("carries what only a browser sends", async () => {
    await open();
    await page.evaluate(() => {
      socket.send(new Blob(["blob"]));
      socket.send(new DataView(new Uint8Array([1, 2, 3]).buffer, 1));
      socket.binaryType = "arraybuffer";
    });
    await relay.until(() => session().got.length === 2);
    expect(session().got).toEqual([new TextEncoder().encode("blob").buffer, new Uint8Array([2, 3]).buffer]);
  });

  it("says what is lost, and ends with an event of the platform's own", async () => {
    await open();
    relay.refuses = 503;
    session().crash();
    await page.waitForFunction(() => socket.bufferedAmount === 0);
    await page.evaluate(() => socket.send("gone"));
    relay.refuses = undefined;
    await page.waitForFunction(() => told.length === 2);
    expect(await page.evaluate(() => told)).toEqual(["lost 4410: gone", "CloseEvent 4410 false"]);
  });

  it("comes back at once when the browser has a network again", async () => {
    await open({ minDelayMs: 1_000_000, maxDelayMs: 1_000_000 });
    const relayed = session();
    relayed.reset();
    await page.waitForFunction(() => tries === 1);
    relayed.send("meanwhile");
    await page.evaluate('dispatchEvent(new Event("online"))');
    await page.waitForFunction(() => got.length === 1);
    expect(await page.evaluate(() => got)).toEqual(["meanwhile"]);
  });

  it("comes back then also from a connection that looks well: whoever was without a network has most likely lost it", async () => {
    await open();
    await page.evaluate(() => socket.addEventListener("resumed", () => told.push("resumed")));
    // It comes back to what it knows that it can: not before it has asked.
    await page.waitForFunction('told.length > 0 || void dispatchEvent(new Event("online"))');
    session().send("after");
    await page.waitForFunction(() => got.length > 0);
    expect(await page.evaluate(() => [told[0], got, tries])).toEqual(["resumed", ["after"], 0]);
  });

  it.each(["closed while it connects", "closed by itself", "closed by the gateway"])(
    "tells of its life as the platform's WebSocket does: %s",
    async (how) => {
      const lives: unknown[] = [];
      for (const isOurs of [false, true]) {
        const before = relay.sessions.length;
        const life = page.evaluate(
          ({ url, ours, ending }) => {
            const told: string[] = [];
            const made = ours
              ? new client.ResumableWebSocket(url)
              : new WebSocket(`${url}&_ws_session=${"n".repeat(22)}`);
            const note = (what: string) => told.push(`${what} in state ${made.readyState}`);
            made.addEventListener("open", () => {
              note("open");
              if (ending === "closed by itself") made.close(3_000, "bye");
              note("after open");
            });
            made.addEventListener("error", () => note("error"));
            if (ending === "closed while it connects") made.close();
            note("at first");
            return new Promise<string[]>((resolve) => {
              made.addEventListener("close", (event) => {
                note(`${event.constructor.name} ${event.code} ${event.reason} ${event.wasClean}`);
                resolve(told);
              });
            });
          },
          { url: relay.url, ours: isOurs, ending: how },
        );
        if (how === "closed by the gateway") {
          await relay.until(() => relay.sessions.length > before);
          relay.sessions.at(-1)?.close(4_000, "enough");
        }
        lives.push(await life);
      }
      expect(lives[1]).toEqual(lives[0]);
    },
  );

  it("answers as the platform's WebSocket does where nothing is held, though the page is of another origin", async () => {
    const origin = await EchoOrigin.start();
    try {
      const probes = { ...STANDARD_PROBES, ...BROWSER_PROBES };
      const texts = Object.entries(probes).map(([what, probe]) => [what, probe.toString()] as const);
      const all = [...texts, ...Object.entries(PAGE_PROBES)];
      const asked = all.map(([what, probe]) => `[${JSON.stringify(what)}, (${probe})(Socket, url)]`);
      const [ours, theirs] = ["client.ResumableWebSocket", "WebSocket"].map((made) =>
        page.evaluate<Record<string, unknown>>(`(async (Socket, url) => {
          const answers = [${asked.join()}].map(async ([what, answer]) => [what, await answer]);
          return Object.fromEntries(await Promise.all(answers));
        })(${made}, ${JSON.stringify(origin.url)})`),
      );
      expect(await ours).toEqual(await theirs);
      expect(Object.keys((await ours) ?? {})).toHaveLength(all.length);
    } finally {
      await origin.stop();
    }
  });
});
