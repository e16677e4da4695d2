import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Gateway, startGateway } from "./gateway.ts";
import { TargetProcess } from "./origin/target-process.ts";

/** How many posts with how many keys. */
export interface KeyedStormOptions {
  readonly isolates: number;
  readonly posts: number;
  /** A multiple of twice the keys of a wave. */
  readonly keys: number;
  readonly connections: number;
}

/** What was seen of it. */
export interface KeyedStorm {
  /** How many posts were told what: a code, `200`, `200 replayed`, or `lost` for no answer. Those that are lost are sent again. */
  readonly told: Readonly<Record<string, number>>;
  /** How many keys had no effect, one, several. */
  readonly effects: Readonly<Record<number, number>>;
  /** What each key was told in the end: how many of them what. */
  readonly finally: Readonly<Record<string, number>>;
  /** Keys that were told of a success, of which the origin saw none, or more than one. */
  readonly contradicted: readonly string[];
  /** Keys that were under way at the origin at the kill. */
  readonly underWay: number;
}

/** Keys that are in use at a time. */
const WAVE = 5;
/** So long a key can be under way without a word after its Worker died: the route's total, and 5 s. */
const TOTAL_MS = 2_000;
const PATIENCE_MS = TOTAL_MS + 5_000 + 10_000;
const PATH = "/orders/";

/**
 * Posts each key many times, from many connections to all isolates; kills runtime and start script in the middle, while a wave of keys is
 * at the origin and everybody else goes on asking; starts again on the same state and posts the rest, and what was lost.
 */
export async function keyedStorm(options: KeyedStormOptions): Promise<KeyedStorm> {
  const { posts, keys } = options;
  const state = mkdtempSync(join(tmpdir(), "sluice-keyed-"));
  const target = await TargetProcess.start();
  let gateway: Gateway | undefined;
  try {
    const plan = Array.from({ length: posts }, (_, number) => keyOf(number, options));
    const first = plan.slice(0, posts / 2);
    const wave = [...new Set(first.slice(-WAVE))];
    await target.behave({ kind: "slow", ms: 5 }, PATH);
    for (const key of wave) await target.behave({ kind: "hold" }, `${PATH}${key}`);
    const killed = await start(options, state, target);
    gateway = killed;
    const traffic = new Traffic();
    const sent = traffic.send(first, killed.urls, options.connections);
    await until("the wave is at the origin", () => wave.every((key) => target.received(`${PATH}${key}`).length > 0));
    await killed.kill();
    await sent;
    for (const key of wave) await target.behave({ kind: "answer", status: 200 }, `${PATH}${key}`);
    gateway = await start(options, state, target, portOf(killed));
    await traffic.send([...traffic.takeLost(), ...plan.slice(posts / 2)], gateway.urls, options.connections);
    const words = await lastWords(gateway, keys);
    const times = new Map([...new Set(plan)].map((key) => [key, target.received(`${PATH}${key}`).length]));
    return {
      told: traffic.told,
      effects: counted([...times.values()].map(String)),
      finally: counted(words),
      contradicted: [...traffic.succeeded].filter((key) => times.get(key) !== 1),
      underWay: wave.length,
    };
  } finally {
    await gateway?.stop().catch(() => {});
    await target.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

function start({ isolates }: KeyedStormOptions, state: string, target: TargetProcess, port?: number): Promise<Gateway> {
  const config = {
    allowPrivateTargets: true,
    logging: { enabled: false },
    timeouts: { total: TOTAL_MS },
    routes: [{ id: "orders", path: `${PATH}*`, target: target.url, idempotency: { required: true } }],
  };
  return startGateway({ config, isolates, state, ...(port === undefined ? {} : { port }) });
}

function portOf({ url }: Gateway): number {
  return Number(new URL(url).port);
}

/** Key names of one length, so that none is the beginning of another. */
function keyOf(number: number, { posts, keys }: KeyedStormOptions): string {
  const perWave = (posts / keys) * WAVE;
  return name(WAVE * Math.floor(number / perWave) + (number % WAVE));
}

function name(index: number): string {
  return `key-${String(index).padStart(6, "0")}`;
}

/** Posts, and what they were told. */
class Traffic {
  readonly told: Record<string, number> = {};
  readonly succeeded = new Set<string>();
  #lost: string[] = [];

  async send(plan: readonly string[], urls: readonly string[], connections: number): Promise<void> {
    const one = async (place: number): Promise<void> => {
      const url = urls[place % urls.length] ?? "";
      for (const key of plan.filter((_, number) => number % connections === place)) {
        this.#note(key, await post(url, key));
      }
    };
    await Promise.all(Array.from({ length: connections }, (_, place) => one(place)));
  }

  /** Keys of the posts that got no answer. */
  takeLost(): readonly string[] {
    const lost = this.#lost;
    this.#lost = [];
    return lost;
  }

  #note(key: string, what: string): void {
    this.told[what] = (this.told[what] ?? 0) + 1;
    if (what === "lost") this.#lost.push(key);
    if (what.startsWith("200")) this.succeeded.add(key);
  }
}

async function post(url: string, key: string): Promise<string> {
  try {
    const headers = { "idempotency-key": `"${key}"`, "content-type": "text/plain" };
    const response = await fetch(`${url}${PATH}${key}`, { method: "POST", headers, body: `order ${key}` });
    const text = await response.text();
    const isProblem = response.headers.get("content-type") === "application/problem+json";
    if (isProblem) return `${response.status} ${codeIn(text)}`;
    return response.headers.get("idempotent-replayed") === "true"
      ? `${response.status} replayed`
      : `${response.status}`;
  } catch {
    return "lost";
  }
}

function codeIn(text: string): string {
  const problem: { readonly code: string } = JSON.parse(text);
  return problem.code;
}

/** What each key is told once nothing is under way any more. */
async function lastWords({ urls }: Gateway, keys: number): Promise<readonly string[]> {
  const words: string[] = [];
  for (let index = 0; index < keys; index += 1) {
    let word = "";
    const ask = async (): Promise<boolean> => {
      word = await post(urls[index % urls.length] ?? "", name(index));
      return word !== "409 idempotency-in-flight";
    };
    await until(`${name(index)} has come to an end`, ask);
    words.push(word);
  }
  return words;
}

/** Polls: what is waited for is in other processes. */
async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !(await isSo());) {
    if (performance.now() > end) throw new Error(`waited ${PATIENCE_MS} ms until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function counted(what: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const each of what) counts[each] = (counts[each] ?? 0) + 1;
  return counts;
}
