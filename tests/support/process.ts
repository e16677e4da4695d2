import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The repository's root, with a trailing slash: what commands under test are started in. */
export const repositoryRoot = fileURLToPath(new URL("../../", import.meta.url));

/** A command that was started and whose output is collected while it runs. */
export interface RunningProcess {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Resolves once the output holds `text` on either stream; rejects with the whole output when the process ends first. */
  waitForOutput(text: string): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** The exit code, or the signal's name when a signal ended it; output is complete by then. */
  readonly exited: Promise<number | NodeJS.Signals>;
}

/** How `run` starts a command. `env` adds to this process's environment; undefined removes a variable. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Starts a command without a shell and without stdin; the caller ends it. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): RunningProcess {
  const env = { ...process.env, ...options.env };
  const child = spawn(command, args, { cwd: options.cwd ?? repositoryRoot, env, stdio: ["ignore", "pipe", "pipe"] });
  if (child.pid === undefined) throw new Error(`could not start ${command}`);
  const pid = child.pid;
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const exited = exitOf(child);
  return {
    pid,
    stdout: () => stdout.text(),
    stderr: () => stderr.text(),
    waitForOutput: async (text) => {
      const ended = exited.then((code) => {
        throw new Error(
          `ended with ${code} before printing ${JSON.stringify(text)}:\n${stdout.text()}${stderr.text()}`,
        );
      });
      // A match wins over an exit seen in the same turn.
      await Promise.race([stdout.waitFor(text), stderr.waitFor(text), ended]);
    },
    signal: (name) => child.kill(name),
    exited,
  };
}

/**
 * Whether a process with this id still holds ports and files. A zombie doesn't, and where process 1 reaps nobody (many
 * containers) it stays for ever; but one whose threads have not all ended yet does.
 */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // proc_pid_stat(5): after the name in parentheses come the state, field 3, and the number of threads, field 20.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
    return fields[0] !== "Z" || fields[17] !== "1";
  } catch (error) {
    // Without /proc the signal is all there is to go by.
    return process.platform !== "linux" && error instanceof Error && "path" in error;
  }
}

/** Polls until the process is gone; rejects at the deadline. A process that isn't our child gives no event to await. */
export async function waitUntilGone(pid: number, deadlineMs = 5_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (isRunning(pid)) {
    if (Date.now() > end) throw new Error(`process ${pid} still runs after ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

interface Collected {
  text(): string;
  waitFor(text: string): Promise<void>;
}

function collect(stream: NodeJS.ReadableStream): Collected {
  let text = "";
  const waiters = new Set<() => void>();
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    text += chunk;
    for (const check of waiters) check();
  });
  return {
    text: () => text,
    waitFor: (wanted) =>
      new Promise((resolve) => {
        const check = () => {
          if (!text.includes(wanted)) return;
          waiters.delete(check);
          resolve();
        };
        waiters.add(check);
        check();
      }),
  };
}

async function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  // "close" and not "exit": the pipes are drained by then.
  const [code, signal]: [number | null, NodeJS.Signals | null] = await once(child, "close").then(([c, s]) => [c, s]);
  return code ?? signal ?? 0;
}
