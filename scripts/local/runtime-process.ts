import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** How long requests in flight may still run after a stop, in ms: half of the 2 s in which SIGTERM has to have ended everything. */
const DRAIN_MS = 1_000;

/**
 * Sees to it that workerd never outlives this process, which Node cannot do for a SIGKILL of its own: an orphan would keep
 * the ports and go on writing to the state. A shell waits for the end of a pipe that only this process holds open.
 */
export function guard(workerd: ChildProcess): void {
  if (process.platform === "win32" || workerd.pid === undefined) return;
  // Its own process group, so that Ctrl-C or a kill of our group does not take the watchman first.
  const watchman = spawn("/bin/sh", ["-c", 'read -r _; kill -KILL "$0" 2>/dev/null', String(workerd.pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  watchman.unref();
  // Without a shell there is no watchman; everything else works.
  watchman.on("error", () => {});
  watchman.stdin.on("error", () => {});
  if ("unref" in watchman.stdin && typeof watchman.stdin.unref === "function") watchman.stdin.unref();
  // Before the system can give the id to another process.
  workerd.once("exit", () => watchman.kill("SIGKILL"));
}

/**
 * Lets requests in flight finish, then ends it whatever it does; resolves once its last log line has been read. On SIGTERM
 * workerd accepts no more connections, closes those on which nothing is asked, and ends after the last answer.
 */
export async function drain(workerd: ChildProcess): Promise<void> {
  if (workerd.exitCode !== null || workerd.signalCode !== null) return;
  const closed = once(workerd, "close");
  const impatience = setTimeout(() => workerd.kill("SIGKILL"), DRAIN_MS);
  workerd.kill("SIGTERM");
  await closed;
  clearTimeout(impatience);
}
