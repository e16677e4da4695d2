import { fork } from "node:child_process";
import { once } from "node:events";

import type { Slice } from "./statistics.ts";

/** One slice of load: what the generator is told to do. */
export interface LoadOrder {
  readonly port: number;
  /** Processes whose CPU time is the subject's. */
  readonly pids: readonly number[];
  /** Processes of the bench that are nobody's competitor for the machine: the origin. */
  readonly helpers: readonly number[];
  readonly connections: number;
  /** Load that is not counted: connections open, lookups and code are warm. */
  readonly rampMs: number;
  readonly windowMs: number;
  /** Every answer has to have one of these statuses; anything else fails the slice. */
  readonly statuses: readonly number[];
}

/** What the generator answers: figures, or why there are none. */
export type LoadAnswer = { readonly ok: true; readonly slice: Slice } | { readonly ok: false; readonly reason: string };

/** A running load generator. */
export interface Generator {
  /** Puts load on one subject and returns its figures; throws when an answer was not as ordered. */
  run(order: LoadOrder): Promise<Slice>;
  stop(): void;
}

/** Starts the load generator in a process of its own, so that its work is never counted as a subject's. */
export async function startGenerator(): Promise<Generator> {
  const child = fork(new URL("generator.ts", import.meta.url), { serialization: "advanced" });
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`the load generator ended with ${String(code)}`);
  });
  // Awaited with every order; between two nobody does.
  ended.catch(() => {});
  await Promise.race([once(child, "message"), ended]);
  return {
    async run(order) {
      child.send(order);
      const [answer]: LoadAnswer[] = await Promise.race([once(child, "message"), ended]);
      if (answer?.ok) return answer.slice;
      throw new Error(answer?.reason ?? "the load generator said nothing");
    },
    stop: () => child.disconnect(),
  };
}
