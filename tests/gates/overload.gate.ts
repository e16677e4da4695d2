import { Agent, request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { startBusyOrigin } from "../support/busy-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import type { Proof } from "../support/proof.ts";

const SERVERS = 8;
const SERVICE_MS = 50;
/** Clients give up after so long; the origin isn't told. */
const PATIENCE_MS = 1_000;
const CRITICAL_SHARE = 0.05;
/** Of the offered load, of capacity: at ease first, so that the limit knows what is best. */
const EASY = { load: 0.5, ms: 5_000 };
const HEAVY = { load: 3, ms: 15_000 };
/** Until the limits have found their way nothing is counted. */
const SETTLING_MS = 5_000;
const MIN_GOODPUT = 0.8;
const MAX_CRITICAL_P99_MS = 500;
const MAX_CRITICAL_SHED = 0.05;

/**
 * An origin of fixed capacity is offered three times what it can do, by clients that give up after a second while it works on. With an
 * adaptive limit it answers nearly as many in time as it can, and the critical ones quickly; without a limit next to none.
 */
export async function run(): Promise<Proof[]> {
  const [limited, unlimited] = [await overload("adaptive"), await overload(false)];
  const { critical } = limited;
  const p99 = quantile(critical.times, 0.99);
  const shed = critical.offered === 0 ? 1 : critical.shed / critical.offered;
  const share = (good: number) => good / limited.capacity;
  return [
    {
      promise: "goodput at 3 times capacity, of capacity (2 isolates, adaptive)",
      bound: `>= ${MIN_GOODPUT}; next to none without a limit`,
      figure: `${share(limited.goodput).toFixed(2)}; without a limit ${share(unlimited.goodput).toFixed(2)}`,
      pass: share(limited.goodput) >= MIN_GOODPUT && share(unlimited.goodput) < MIN_GOODPUT / 2,
    },
    {
      promise: "critical requests meanwhile (5 % of all)",
      bound: `p99 <= ${MAX_CRITICAL_P99_MS} ms, at most ${MAX_CRITICAL_SHED * 100} % shed`,
      figure: `p99 ${p99.toFixed(0)} ms, ${(shed * 100).toFixed(1)} % of ${critical.offered} shed`,
      pass: p99 <= MAX_CRITICAL_P99_MS && shed <= MAX_CRITICAL_SHED,
    },
    {
      promise: "/readyz and /admin meanwhile",
      bound: "every one answers 200 within 1 s",
      figure: `${limited.own.good} of ${limited.own.asked}, the slowest in ${limited.own.slowestMs.toFixed(0)} ms`,
      pass: limited.own.asked > 0 && limited.own.good === limited.own.asked,
    },
  ];
}

interface Outcome {
  readonly capacity: number;
  /** Answered in time, a second. */
  readonly goodput: number;
  readonly critical: { offered: number; shed: number; readonly times: number[] };
  readonly own: { asked: number; good: number; slowestMs: number };
}

async function overload(concurrency: "adaptive" | false): Promise<Outcome> {
  const origin = await startBusyOrigin(SERVERS, SERVICE_MS);
  const { capacity } = origin;
  const gateway = await startGateway({
    isolates: 2,
    config: {
      allowPrivateTargets: true,
      logging: false,
      backends: { busy: { targets: [{ url: origin.url }], concurrency } },
      routes: [{ prefix: "/", backend: "busy", priority: { header: "x-class" } }],
    },
  });
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  try {
    const from = Date.now() + EASY.ms + SETTLING_MS;
    const to = Date.now() + EASY.ms + HEAVY.ms;
    const critical = { offered: 0, shed: 0, times: [] as number[] };
    const own = { asked: 0, good: 0, slowestMs: 0 };
    let good = 0;
    const asking: Promise<void>[] = [];
    const watching = watchOwn(gateway, own, to);
    for (const { load, ms } of [EASY, HEAVY]) {
      await offer(load * capacity, ms, (index) => {
        const isCritical = Math.random() < CRITICAL_SHARE;
        const at = Date.now();
        const counts = at >= from && at < to;
        if (counts && isCritical) critical.offered += 1;
        const url = gateway.urls[index % gateway.urls.length] ?? gateway.url;
        asking.push(
          ask(agent, url, isCritical).then((status) => {
            if (status === 200 && Date.now() >= from && Date.now() < to) good += 1;
            if (!counts || !isCritical) return;
            if (status === 503) critical.shed += 1;
            else critical.times.push(Date.now() - at);
          }),
        );
      });
    }
    await Promise.all([...asking, watching]);
    return { capacity, goodput: (good * 1_000) / (to - from), critical, own };
  } finally {
    agent.destroy();
    await gateway.stop();
    await origin.stop();
  }
}

/** Begins so many requests a second, whatever becomes of them. */
async function offer(perSecond: number, ms: number, begin: (index: number) => void): Promise<void> {
  const startedAt = Date.now();
  let begun = 0;
  for (;;) {
    const elapsed = Date.now() - startedAt;
    if (elapsed >= ms) return;
    for (const due = (elapsed * perSecond) / 1_000; begun < due; begun += 1) begin(begun);
    await pause(4);
  }
}

/** A status; 0: the client gave up, or there was no answer. */
function ask(agent: Agent, url: string, isCritical: boolean): Promise<number> {
  return new Promise((resolve) => {
    const headers = isCritical ? { "x-class": "critical" } : {};
    const asked = request(url, { agent, headers, signal: AbortSignal.timeout(PATIENCE_MS) }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode ?? 0));
      response.once("error", () => resolve(0));
    });
    asked.once("error", () => resolve(0));
    asked.end();
  });
}

async function watchOwn({ urls, adminToken }: Gateway, own: Outcome["own"], to: number): Promise<void> {
  while (Date.now() < to) {
    for (const url of urls) {
      for (const path of ["/readyz", "/admin/egress"]) {
        const at = Date.now();
        own.asked += 1;
        const headers = { authorization: `Bearer ${adminToken}` };
        const answer = await fetch(url + path, { headers, signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
        await answer?.arrayBuffer();
        if (answer?.status === 200) own.good += 1;
        own.slowestMs = Math.max(own.slowestMs, Date.now() - at);
      }
    }
    await pause(250);
  }
}

function quantile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? Infinity;
}
