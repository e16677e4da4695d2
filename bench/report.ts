import { renderTable } from "../scripts/prove/table.ts";
import type { BenchResult } from "./bench.ts";
import type { Spread } from "./statistics.ts";

/** With fewer rounds than this, no interval holds the median with 95 % confidence: the whole range does with less. */
const FEW_ROUNDS = 6;

/** Renders a result as text: the machine, a table of figures, a table of ratios. */
export function renderResult(result: BenchResult): string {
  const { machine, rounds, seconds, connections } = result;
  const subjects = result.subjects.map(({ name, throughput, p50, p99, cpu, busy }) => [
    name,
    figure(throughput.median),
    range(throughput),
    figure(p50.median),
    figure(p99.median),
    figure(cpu.median),
    range(cpu),
    figure(busy.median),
  ]);
  const ratios = result.ratios.map(({ subject, reference, asks, throughput, cpu }) => [
    `${subject} / ${reference}`,
    figure(throughput.median),
    trusted(throughput),
    range(throughput),
    figure(cpu.median),
    trusted(cpu),
    range(cpu),
    asks,
  ]);
  return [
    `${machine.processor}, ${machine.cores} cores; Node ${machine.node}, workerd ${machine.workerd}; ${result.at}`,
    `${rounds} rounds${rounds < FEW_ROUNDS ? " (too few to tell anything)" : ""}, ${seconds} s a slice, ${connections} connections; load average before ${figure(machine.loadBefore)}; ` +
      `other processes used ${figure(machine.othersCores)} cores meanwhile`,
    "",
    renderTable([
      ["subject", "answers/s", "min-max", "p50 ms", "p99 ms", "CPU us", "min-max", "busy cores"],
      ...subjects,
    ]),
    ...(ratios.length === 0
      ? []
      : [
          "",
          renderTable([
            ["ratio, round by round", "throughput", "95 %", "min-max", "CPU", "95 %", "min-max", "what it tells"],
            ...ratios,
          ]),
        ]),
  ].join("\n");
}

function range({ min, max }: Spread): string {
  return `${figure(min)}-${figure(max)}`;
}

function trusted({ low, high }: Spread): string {
  return `${figure(low)}-${figure(high)}`;
}

/** Three figures: more would be noise. */
export function figure(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
