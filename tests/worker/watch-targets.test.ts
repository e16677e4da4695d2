import { describe, expect, it } from "vitest";
import { holdTime, newIsolate, newTarget, OK, passes, told, type Between, type Isolate } from "./breakers.ts";

const CHECK = { path: "/up", interval: "10s", timeout: "2s", rise: 2, fall: 3 };
const MINUTE_MS = 60_000;

holdTime();

/** What the owner says in turn; the last again and again. Undefined: nothing. */
function saying(...news: readonly (Parameters<typeof told>[0] | undefined)[]): Between {
  let said = 0;
  return async () => {
    said += 1;
    const one = news[Math.min(said, news.length) - 1];
    if (one === undefined) throw new Error("injected");
    return told(one);
  };
}

function asked({ sent }: Isolate): number {
  return sent.length;
}

describe("targets that are watched", () => {
  it("are asked about at once and then as often as their owner says, in the shade of requests", async () => {
    const isolate = newIsolate();
    const url = newTarget();
    await isolate.watch([url], CHECK);
    expect(isolate.sent).toEqual([
      {
        method: "watch",
        message: {
          v: 1,
          configVersion: 1,
          isolate: isolate.state(url).isolate.isolate,
          target: url,
          backend: "api",
          health: { intervalMs: 10_000, timeoutMs: 2_000, rise: 2, fall: 3 },
        },
      },
    ]);
    await passes(3_000);
    await isolate.watch([url], CHECK);
    expect(asked(isolate)).toBe(1);
    // With one isolate every 5 s, give or take a quarter.
    await passes(4_000);
    await isolate.watch([url], CHECK);
    expect(asked(isolate)).toBe(2);
  });

  it("are known to be down, well again and draining by the owner's word", async () => {
    const news = [{ downForMs: 3_000 }, { wellForMs: 1_000, isDraining: true }, { downForMs: null }];
    const isolate = newIsolate(saying(...news));
    const url = newTarget();
    const seen: unknown[] = [];
    for (const _ of news) {
      await isolate.watch([url]);
      const { downSince, wellSince, isDraining } = isolate.state(url);
      const ago = (since: number | undefined) => since !== undefined && Date.now() - since;
      seen.push({ down: ago(downSince), well: ago(wellSince), isDraining });
      await passes(5_000);
    }
    expect(seen).toEqual([
      { down: 3_000, well: Infinity, isDraining: false },
      { down: false, well: 1_000, isDraining: true },
      { down: false, well: 6_000, isDraining: false },
    ]);
  });

  it("are taken for well when their owner has not been heard of for a minute, and stay drained", async () => {
    const isolate = newIsolate(saying({ downForMs: 0, isDraining: true }, undefined));
    const url = newTarget();
    await isolate.watch([url]);
    for (let waited = 0; waited < MINUTE_MS; waited += 5_000) {
      await passes(5_000);
      await isolate.watch([url]);
      expect(isolate.state(url).downSince).toBeDefined();
    }
    await passes(5_000);
    await isolate.watch([url]);
    expect(isolate.state(url)).toMatchObject({ downSince: undefined, isDraining: true });
  });

  it("are not asked about while reports bring their news", async () => {
    const isolate = newIsolate();
    const url = newTarget();
    const breaker = isolate.breaker(url);
    for (let request = 0; request < 40; request++) {
      isolate.call(breaker, OK);
      await isolate.answered();
      await isolate.watch([url]);
      await passes(500);
    }
    expect(isolate.sent.filter(({ method }) => method === "watch")).toEqual([]);
  });

  it("are asked about six at a time", async () => {
    const isolate = newIsolate(saying({}));
    const urls = Array.from({ length: 14 }, newTarget);
    for (const known of [6, 12, 14, 14]) {
      await isolate.watch(urls);
      expect(asked(isolate)).toBe(known);
    }
  });

  it("are all asked about where a request comes now and then", async () => {
    const isolate = newIsolate(saying({}));
    const urls = Array.from({ length: 14 }, newTarget);
    for (let request = 0; request < 3; request++) {
      await isolate.watch(urls);
      await passes(10_000);
    }
    expect(new Set(isolate.sent.map(({ message }) => message.target))).toEqual(new Set(urls));
  });

  it("are asked about no more often where the owner is of another version", async () => {
    const isolate = newIsolate(async () => ({ v: 2, state: "fine" }));
    const url = newTarget();
    for (let request = 0; request < 40; request++) {
      await isolate.watch([url]);
      await passes(500);
    }
    expect(asked(isolate)).toBe(4);
  });

  it("are asked about again after a call that hangs", async () => {
    let isBroken = true;
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const isolate = newIsolate((_sent, proceed) => {
      reach();
      return isBroken ? new Promise(() => {}) : proceed();
    });
    const url = newTarget();
    const first = isolate.watch([url]);
    await reached;
    await isolate.watch([url]);
    await passes(1_000);
    await first;
    expect(asked(isolate)).toBe(1);
    isBroken = false;
    await passes(5_000);
    await isolate.watch([url]);
    expect(asked(isolate)).toBe(2);
    expect(isolate.state(url).newsAt).toBe(Date.now());
  });
});
