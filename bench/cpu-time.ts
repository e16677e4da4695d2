import { readdirSync, readFileSync } from "node:fs";

/**
 * Returns the CPU microseconds that the processes have used so far, all threads, from Linux's scheduler statistics
 * (nanoseconds; `/proc/PID/stat` counts in ticks of 10 ms). A thread that ended takes its time with it: compare two
 * readings of a warm process only. Throws when a process is gone.
 */
export function cpuTime(pids: readonly number[]): number {
  let nanoseconds = 0;
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "latin1").split(" ")[0]);
    }
  }
  return nanoseconds / 1000;
}

/** Linux counts in ticks of 1/100 s wherever `getconf CLK_TCK` has been looked at. */
const TICK_US = 10_000;

/** Returns the CPU microseconds that everything on this machine has used so far, time stolen by its host included. */
export function machineCpuTime(): number {
  const [line = ""] = readFileSync("/proc/stat", "latin1").split("\n", 1);
  // proc_stat(5): user nice system idle iowait irq softirq steal, then guest times that user holds already.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(/ +/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) * TICK_US;
}
