import { readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";

import { startChild } from "./child.ts";
import { comparisons, type Comparison } from "./comparisons.ts";
import { startGenerator } from "./load.ts";
import { measure } from "./rounds.ts";
import { median, pairedRatio, spread, type Slice, type Spread } from "./statistics.ts";
import { allSubjects } from "./subjects.ts";

export interface BenchOptions {
  /** Slices of each subject. */
  readonly rounds: number;
  /** Seconds of a slice; noise on shared machines lasts about as long, so many short ones beat a few long ones. */
  readonly seconds: number;
  /** Names of subjects; default all. */
  readonly only?: readonly string[];
  readonly onRound?: (done: number) => void;
}

/** The figures of one subject over all rounds. */
export interface SubjectFigures {
  readonly name: string;
  /** Answers per second. */
  readonly throughput: Spread;
  /** Milliseconds. */
  readonly p50: Spread;
  readonly p99: Spread;
  /** Microseconds per answer. */
  readonly cpu: Spread;
  readonly busy: Spread;
}

/** Medians of the ratios within each round. */
export interface Ratio extends Comparison {
  readonly throughput: Spread;
  readonly cpu: Spread;
}

export interface BenchResult {
  readonly at: string;
  readonly machine: {
    readonly processor: string;
    readonly cores: number;
    readonly node: string;
    readonly workerd: string;
    readonly loadBefore: number;
    /** Median of the cores that processes outside of the bench used during a slice. */
    readonly othersCores: number;
  };
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly subjects: readonly SubjectFigures[];
  readonly ratios: readonly Ratio[];
}

const CONNECTIONS = 32;

/** Starts origin, generator and subjects, measures them in turn, and ends them all. Throws on a name that no subject has. */
export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const loadBefore = loadavg()[0] ?? 0;
  await using stack = new AsyncDisposableStack();
  const origin = await startChild(new URL("origin.ts", import.meta.url));
  stack.defer(() => origin.stop());
  const generator = await startGenerator();
  stack.defer(() => generator.stop());
  const subjects = chosen(allSubjects(origin.port), options.only);
  const slices = await measure(subjects, generator, {
    rounds: options.rounds,
    windowMs: options.seconds * 1_000,
    connections: CONNECTIONS,
    helpers: origin.pids,
    ...(options.onRound === undefined ? {} : { onRound: options.onRound }),
  });
  return {
    at: new Date().toISOString(),
    machine: {
      processor: cpus()[0]?.model ?? "unknown",
      cores: cpus().length,
      node: process.version,
      workerd: workerdVersion(),
      loadBefore,
      othersCores: median([...slices.values()].flat().map(({ others }) => others)),
    },
    rounds: options.rounds,
    seconds: options.seconds,
    connections: CONNECTIONS,
    subjects: [...slices].map(([name, own]) => figures(name, own)),
    ratios: comparisons.flatMap((comparison) => ratio(comparison, slices)),
  };
}

function chosen<T extends { readonly name: string }>(subjects: readonly T[], only: readonly string[] | undefined) {
  if (only === undefined) return subjects;
  const names = subjects.map(({ name }) => name);
  const unknown = only.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new Error(`got the subjects ${unknown.join(", ")}, wanted some of ${names.join(", ")}`);
  }
  return subjects.filter(({ name }) => only.includes(name));
}

function figures(name: string, slices: readonly Slice[]): SubjectFigures {
  const of = (key: "throughput" | "p50" | "p99" | "cpu" | "busy") => spread(slices.map((slice) => slice[key]));
  return { name, throughput: of("throughput"), p50: of("p50"), p99: of("p99"), cpu: of("cpu"), busy: of("busy") };
}

function ratio(comparison: Comparison, slices: ReadonlyMap<string, readonly Slice[]>): readonly Ratio[] {
  const subject = slices.get(comparison.subject);
  const reference = slices.get(comparison.reference);
  if (subject === undefined || reference === undefined) return [];
  const of = (key: "throughput" | "cpu") =>
    pairedRatio(
      subject.map((slice) => slice[key]),
      reference.map((slice) => slice[key]),
    );
  return [{ ...comparison, throughput: of("throughput"), cpu: of("cpu") }];
}

function workerdVersion(): string {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL("../node_modules/workerd/package.json", import.meta.url), "utf8"),
  );
  return version;
}
