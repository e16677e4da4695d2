import { addresses } from "../address.ts";
import { ONE_TRY } from "../one-try.ts";
import { MAX_REPORTED, type ReportMessage } from "../socket-registry/registry-messages.ts";
import { REGISTRY_SHARDS, shardOfSession } from "../socket-registry/registry-shards.ts";
import type { SocketRegistry } from "../socket-registry/socket-registry.ts";
import type { SessionDescription } from "./session-control.ts";
import { drainedUntil, noteDrained } from "./drained-routes.ts";
import { keepCounts, takeCounts } from "./told-counts.ts";

/**
 * A relay object's line to the registry of sessions, off the path of messages. No method throws or has to be awaited, but the
 * object must live until what it returns is settled (`ctx.waitUntil`). A report that is lost is made good by the next renewal.
 */
export interface Registration {
  /** A session has begun, or something about it has changed that operators look for: told at once. */
  opened(session: SessionDescription): Promise<void>;
  /**
   * A session has ended: told at once; or later where many may end together, whose connections are to be closed before anything is told.
   */
  closed(id: string, afterMs?: number): Promise<void>;
  /** Tells what was counted, within a second, where nothing else is to be told. */
  counted(): Promise<void>;
  /** To be called every 10 s with all sessions: tells of those with new counters, and each 30 s of all. */
  renew(sessions: readonly SessionDescription[], now: number): Promise<void>;
}

/** How often `renew` is to be called while there are sessions, in ms. */
export const RENEW_MS = 10_000;
/** Half of a lease: one report may be lost. */
const QUIET_MS = 30_000;
/** What may wait, and is better told with that of others. */
export const LATER_MS = 1_000;
/** The registry is for operators: nothing waits for it longer. */
const REPORT_MS = 2_000;
/** Of a timer that is cleared workerd 1.20261102.1 keeps 256 bytes or more until the object is put away; of one that fires, nothing. */
const CLEARS_MS = 60_000;

/** When an object of this isolate began to wait until it tells what was counted: a flood of refusals is a report a second. */
let countedAt = -Infinity;

/** What an object needs to reach the registry. */
interface RegistryEnv {
  readonly SOCKET_REGISTRY: DurableObjectNamespace<SocketRegistry>;
  readonly NAMING_SECRET?: string;
}

interface RegistryLine {
  readonly env: RegistryEnv;
  /** When a timer was last cleared, in ms since 1970. */
  clearedAt: number;
}

/**
 * Makes the line.
 *
 * @param object the object's own id, as text: `ctx.id.toString()`.
 * @param turnAway called with the id of a session that should not have been opened, since its route is drained.
 */
export function createRegistration(
  env: RegistryEnv,
  object: string,
  turnAway: (id: string) => void = () => undefined,
): Registration {
  const told = new Map<string, { readonly sum: number; readonly at: number }>();
  const line: RegistryLine = { env, clearedAt: -Infinity };

  async function report(sessions: readonly SessionDescription[], closed: readonly string[]): Promise<void> {
    const messages = byShard(object, sessions, closed);
    const counts = messages.size === 0 ? undefined : takeCounts();
    await Promise.all(
      [...messages].map(([shard, message], index) =>
        tell(line, shard, index === 0 && counts !== undefined ? { ...message, counts } : message),
      ),
    );
  }

  return {
    async opened(session) {
      told.set(session.id, { sum: sumOf(session), at: session.openedAt });
      await report([session], []);
      if (isUnwanted(session)) turnAway(session.id);
    },
    async closed(id, afterMs = 0) {
      told.delete(id);
      if (afterMs > 0) await scheduler.wait(afterMs);
      await report([], [id]);
    },
    async counted() {
      const now = Date.now();
      // Another object of this isolate tells of it with its own.
      if (now >= countedAt && now < countedAt + LATER_MS) return;
      countedAt = now;
      await scheduler.wait(LATER_MS);
      const counts = takeCounts();
      if (counts !== undefined) await tell(line, 0, { v: 1, object, sessions: [], closed: [], counts });
    },
    async renew(sessions, now) {
      const news = sessions.filter((session) => {
        const known = told.get(session.id);
        return known === undefined || known.sum !== sumOf(session) || Math.abs(now - known.at) >= QUIET_MS;
      });
      for (const session of news) told.set(session.id, { sum: sumOf(session), at: now });
      for (let from = 0; from < news.length; from += MAX_REPORTED) {
        await report(news.slice(from, from + MAX_REPORTED), []);
      }
      // The report of when it was opened may have been lost.
      for (const session of sessions) if (isUnwanted(session)) turnAway(session.id);
    },
  };
}

/** One that has been resumed was there before, perhaps in another object. */
function isUnwanted({ route, openedAt, resumes, state }: SessionDescription): boolean {
  return resumes === 0 && state !== "closing" && drainedUntil(route, openedAt) !== undefined;
}

/** Grows with whatever a session does; its states are told at once. */
function sumOf({ messagesIn, messagesOut, resumes }: SessionDescription): number {
  return messagesIn + messagesOut + resumes;
}

function byShard(
  object: string,
  sessions: readonly SessionDescription[],
  closed: readonly string[],
): Map<number, ReportMessage> {
  const messages = new Map<number, ReportMessage>();
  for (let shard = 0; shard < REGISTRY_SHARDS; shard += 1) {
    const [here, gone] = [
      sessions.filter(({ id }) => shardOfSession(id) === shard),
      closed.filter((id) => shardOfSession(id) === shard),
    ];
    if (here.length + gone.length > 0) messages.set(shard, { v: 1, object, sessions: here, closed: gone });
  }
  return messages;
}

async function tell(line: RegistryLine, shard: number, message: ReportMessage): Promise<void> {
  const { env } = line;
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, REPORT_MS, undefined);
  try {
    const { name } = await addresses(env.NAMING_SECRET ?? "").socketRegistry(shard);
    const stub = env.SOCKET_REGISTRY.get(env.SOCKET_REGISTRY.idFromName(name), ONE_TRY);
    const reply = await Promise.race([stub.report(message), late]);
    // Undefined: too late, but it may have been heard all the same.
    if (reply !== undefined) noteDrained(reply.drained);
  } catch (error) {
    if (message.counts !== undefined) keepCounts(message.counts);
    console.warn(JSON.stringify({ level: "warn", event: "socket-registry-not-told", shard, error: String(error) }));
  } finally {
    clearSeldom(line, timer);
  }
}

/**
 * An object that tells little sleeps at once; one that tells much is kept by its sessions, and its timers may fire. Not `objects/deadlines.ts`,
 * which does this for many waits at once: there may be an object to each session, and that would be 6 KiB more of it.
 */
function clearSeldom(line: RegistryLine, timer: ReturnType<typeof setTimeout>): void {
  const now = Date.now();
  if (now >= line.clearedAt && now - line.clearedAt < CLEARS_MS) return;
  line.clearedAt = now;
  clearTimeout(timer);
}
