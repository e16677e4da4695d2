import type { Generator } from "./load.ts";
import type { Slice } from "./statistics.ts";

/** A running subject. */
export interface Running {
  readonly port: number;
  /** The processes whose CPU time is its. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** What is measured: how to start it, and which status proves that it did its work. */
export interface Subject {
  readonly name: string;
  start(): Promise<Running>;
  /** Default 200. */
  readonly status?: number;
}

export interface Plan {
  readonly rounds: number;
  readonly windowMs: number;
  readonly connections: number;
  /** Processes of the bench itself, besides the generator. */
  readonly helpers: readonly number[];
  /** Told after every round how many are done. */
  readonly onRound?: (done: number) => void;
}

const RAMP_MS = 50;
/** V8 still compiled and recompiled the gateway's functions 3 to 8 s after the first request; production isolates live for hours. */
const WARM_UP_MS = 6_000;
/** A generator that was kept from running for this long tells nothing about its subject. */
const MAX_STALL_MS = 100;
const MAX_ATTEMPTS = 5;

/**
 * Measures every subject once a round, in a new random order each round, and returns the slices by subject's name, one
 * a round. All subjects stay up for the whole run and are idle but for the one under load.
 */
export async function measure(
  subjects: readonly Subject[],
  generator: Generator,
  plan: Plan,
): Promise<ReadonlyMap<string, readonly Slice[]>> {
  await using stack = new AsyncDisposableStack();
  const running = new Map<Subject, Running>();
  const slices = new Map<string, Slice[]>();
  const load = async (subject: Subject, windowMs: number, statuses: readonly number[]): Promise<Slice> => {
    const target = running.get(subject);
    if (target === undefined) throw new Error(`${subject.name} is not running`);
    const { port, pids } = target;
    const { connections, helpers } = plan;
    try {
      return await generator.run({ port, pids, helpers, connections, rampMs: RAMP_MS, windowMs, statuses });
    } catch (error) {
      throw new Error(`${subject.name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  };
  const undisturbed = async (subject: Subject): Promise<Slice> => {
    for (let attempt = 1; ; attempt += 1) {
      const slice = await load(subject, plan.windowMs, [subject.status ?? 200]);
      if (slice.answers > 0 && slice.stallMs < MAX_STALL_MS) return slice;
      // Something that never gets through undisturbed is a finding and not noise.
      if (attempt === MAX_ATTEMPTS && slice.answers > 0) return slice;
      if (attempt === MAX_ATTEMPTS) throw new Error(`${subject.name}: no answer in ${MAX_ATTEMPTS} slices`);
    }
  };
  for (const subject of subjects) {
    const target = await subject.start();
    stack.defer(() => target.stop());
    running.set(subject, target);
    slices.set(subject.name, []);
    // A subject that refuses has let the first of its requests pass.
    await load(subject, WARM_UP_MS, [200, subject.status ?? 200]);
  }
  for (let done = 1; done <= plan.rounds; done += 1) {
    for (const subject of shuffled(subjects)) slices.get(subject.name)?.push(await undisturbed(subject));
    plan.onRound?.(done);
  }
  return slices;
}

function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, key: Math.random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ value }) => value);
}
