import { fork } from "node:child_process";
import { once } from "node:events";

/** What a forked subject or origin says once it listens. */
export interface Listening {
  readonly port: number;
  /** Its processes besides itself. */
  readonly pids?: readonly number[];
}

/** A forked Node process that listens on a port. */
export interface Child {
  readonly port: number;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/**
 * Forks a module of the bench and waits until it sends what it listens on. It ends when this process does. stdout is
 * /dev/null: whatever a subject logs costs it one write and nobody a read.
 */
export async function startChild(module: URL, environment: Readonly<Record<string, string>> = {}): Promise<Child> {
  const child = fork(module, {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const exited = once(child, "exit");
  const failed = exited.then(([code]) => {
    throw new Error(`${module.pathname} ended with ${String(code)} before it listened; its reason is above`);
  });
  const [listening]: Listening[] = await Promise.race([once(child, "message"), failed]);
  return {
    port: listening?.port ?? 0,
    pids: [child.pid ?? 0, ...(listening?.pids ?? [])],
    async stop() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
