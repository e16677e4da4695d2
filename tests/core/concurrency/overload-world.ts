import {
  enter,
  leave,
  newGate,
  type CallTime,
  type Gate,
  type GatePolicy,
  type Guest,
} from "../../../worker/concurrency/gate.ts";
import type { Priority } from "../../../schemas/index.ts";
import { createRandom } from "../../simulation/random.ts";

/** A backend that serves some requests at once and queues the others in their order, behind isolates that each have a gate. */
export interface Scenario {
  readonly seed: number;
  /** undefined: everything passes. */
  readonly policy: GatePolicy | undefined;
  readonly isolates: number;
  readonly seconds: number;
  /** Requests a second of all isolates, at a time in ms. */
  readonly offered: (at: number) => number;
  /** How long the backend is busy with one, in the median. */
  readonly serviceMs: (at: number) => number;
  /** By how much each isolate's clock is ahead of the one before; default 0. */
  readonly clockApartMs?: number;
  /** What came before isn't counted. */
  readonly countFromMs: number;
}

/** Of one class, or of all. */
export interface Figures {
  readonly offered: number;
  /** Answered before the client gave up. */
  readonly good: number;
  readonly late: number;
  readonly shed: number;
  readonly p99Ms: number;
}

/** What came of it. */
export interface Outcome {
  readonly all: Figures;
  readonly critical: Figures;
  /** Answers in time, a second. */
  readonly goodput: number;
  readonly gates: readonly Gate[];
}

/** So many are served at once. */
const SERVERS = 64;
const SIGMA = 0.4;
/** A client gives up; the backend, which isn't told, serves its request all the same. */
const PATIENCE_MS = 1_000;

/** What the backend can serve a second: the mean of a lognormal is above its median. */
export function capacity(serviceMs: number): number {
  return (SERVERS * 1_000) / (serviceMs * Math.exp(SIGMA ** 2 / 2));
}

/** Runs a scenario, its randomness from a seed. */
export function overload(scenario: Scenario): Outcome {
  const { seed, policy, isolates, seconds, offered, serviceMs, clockApartMs = 0, countFromMs } = scenario;
  const random = createRandom(seed);
  const gates =
    policy === undefined ? [] : Array.from({ length: isolates }, (_, at) => newGate(policy, at * clockApartMs));
  /** When each server is free. First come, first served: the one that is free first takes the next. */
  const free = new Float64Array(SERVERS);
  const ends: { at: number; gate: Gate; guest: Guest; ahead: number; time: CallTime }[] = [];
  const counted: Record<Priority, Counted> = { critical: newCounted(), normal: newCounted(), low: newCounted() };
  let now = 0;
  while (now < seconds * 1_000) {
    now += random.exponential(1_000 / offered(now));
    for (let end = ends[0]; end !== undefined && end.at <= now; end = ends[0]) {
      takeFirst(ends);
      leave(end.gate, end.guest, end.time, end.at + end.ahead);
    }
    const lot = random.next();
    const priority: Priority = lot < 0.05 ? "critical" : lot < 0.9 ? "normal" : "low";
    const counts = now < countFromMs ? newCounted() : counted[priority];
    counts.offered += 1;
    const index = random.integer(0, isolates - 1);
    const gate = gates[index];
    const ahead = index * clockApartMs;
    const entry =
      gate === undefined
        ? undefined
        : enter(gate, { priority, leaseMs: 60_000, random: random.next() }, Math.floor(now) + ahead);
    if (entry?.kind === "shed") {
      counts.shed += 1;
      continue;
    }
    const server = indexOfLeast(free);
    const doneAt = Math.max(now, free[server] ?? 0) + random.lognormal(serviceMs(now), SIGMA);
    free[server] = doneAt;
    const tookMs = doneAt - now;
    if (tookMs <= PATIENCE_MS) counts.good.push(tookMs);
    else counts.late += 1;
    const at = now + Math.min(tookMs, PATIENCE_MS);
    const time: CallTime = tookMs > PATIENCE_MS ? { kind: "given-up" } : { kind: "head", tookMs };
    if (gate !== undefined && entry !== undefined) insert(ends, { at, gate, guest: entry.guest, ahead, time });
  }
  const all = [counted.critical, counted.normal, counted.low];
  const figures = figuresOf(all);
  const goodput = (figures.good * 1_000) / (seconds * 1_000 - countFromMs);
  return { all: figures, critical: figuresOf([counted.critical]), goodput, gates };
}

interface Counted {
  offered: number;
  readonly good: number[];
  late: number;
  shed: number;
}

function newCounted(): Counted {
  return { offered: 0, good: [], late: 0, shed: 0 };
}

function figuresOf(all: readonly Counted[]): Figures {
  const times = all.flatMap(({ good }) => good).sort((a, b) => a - b);
  const sum = (field: "offered" | "late" | "shed") => all.reduce((total, one) => total + one[field], 0);
  return {
    offered: sum("offered"),
    good: times.length,
    late: sum("late"),
    shed: sum("shed"),
    p99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
  };
}

function indexOfLeast(values: Float64Array): number {
  let least = 0;
  for (let index = 1; index < values.length; index++) {
    if ((values[index] ?? 0) < (values[least] ?? 0)) least = index;
  }
  return least;
}

interface Timed {
  readonly at: number;
}

/** A heap, the earliest first. */
function insert<Item extends Timed>(heap: Item[], item: Item): void {
  let place = heap.push(item) - 1;
  while (place > 0) {
    const parent = (place - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || above.at <= item.at) break;
    heap[place] = above;
    place = parent;
  }
  heap[place] = item;
}

function takeFirst(heap: Timed[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let place = 0;
  for (;;) {
    const left = 2 * place + 1;
    const [one, other] = [heap[left], heap[left + 1]];
    const lesser = other !== undefined && one !== undefined && other.at < one.at ? left + 1 : left;
    const below = heap[lesser];
    if (below === undefined || below.at >= last.at) break;
    heap[place] = below;
    place = lesser;
  }
  heap[place] = last;
}
