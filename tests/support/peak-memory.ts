import { readFile, writeFile } from "node:fs/promises";

/** By how many bytes a process's resident memory grew at its highest while `work` ran. Linux only. */
export async function peakGrowth(pid: number, work: () => Promise<void>): Promise<number> {
  // proc(5): 5 sets the high-water mark back to what is resident now, so no sampling can miss the peak.
  await writeFile(`/proc/${pid}/clear_refs`, "5");
  const before = await highWaterMark(pid);
  await work();
  return (await highWaterMark(pid)) - before;
}

async function highWaterMark(pid: number): Promise<number> {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kibibytes === undefined) throw new Error(`process ${pid} tells no VmHWM`);
  return Number(kibibytes) * 1024;
}
