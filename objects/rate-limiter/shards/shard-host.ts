import { createDeadlines } from "../../deadlines.ts";
import { createLru } from "../../lru.ts";
import { ONE_TRY } from "../../one-try.ts";
import type { LeaseMessage, LeaseReply } from "../leases/lease-messages.ts";
import type { ShardNotice } from "../messages.ts";
import type { RateLimiter } from "../rate-limiter.ts";
import { answerFromRoot, failedAtRoot, retire, retireAt } from "./shard-asking.ts";
import { ROOT_SILENT } from "./shard-choice.ts";
import { branchKey, newBranch, type Branch } from "./shard-branch.ts";
import {
  SHARD_COUNT_RULES,
  countCalls,
  newLoad,
  shardNotice,
  type CallLoad,
  type ShardCountRules,
} from "./shard-count.ts";
import { ALL_RULES } from "./shard-rules.ts";
import { hear, serve } from "./shard.ts";

/** What an object does about shards: as the root of its clients, and as a shard of others' (docs/design/shards.md). */
export interface Shards {
  /** Counts a message to this object as a root; what to tell the caller, if anything. */
  countCalls(memory: { calls: CallLoad | undefined }, message: LeaseMessage, now: number): ShardNotice | undefined;
  /** Answers an isolate as a shard of `root`. Rejects when the root is needed and does not answer within 100 ms. */
  lease(message: LeaseMessage, root: string): Promise<LeaseReply>;
}

/** One branch, and what goes on about it. */
interface Work {
  readonly branch: Branch;
  readonly root: string;
  /** Ends when the call to the root does that is under way. Objects may share promises among their requests. */
  turn: Promise<void> | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** Clients with their limits that one object remembers as their shard; it is a shard of one client, or of a few. */
const MAX_BRANCHES = 64;
/** A request has 150 ms, for both ways as well. */
const WAIT_MS = 100;
/** After this a call to the root counts as lost. */
const CALL_MS = 1_000;
/** Above every id of a root, which are times; each instance has a range of its own among 2^31. */
const FIRST_ID = 2 ** 52;
const RANGE = 2 ** 20;

/**
 * An object's memory as a shard. It is all that a shard has.
 *
 * @param namespace of this class, where the roots are.
 */
export function openShards(
  namespace: DurableObjectNamespace<RateLimiter>,
  counting: ShardCountRules = SHARD_COUNT_RULES,
): Shards {
  const works = createLru<string, Work>(MAX_BRANCHES);
  const within = createDeadlines();
  let instance: { readonly name: string; readonly firstId: number } | undefined;
  let made = 0;

  function workFor(message: LeaseMessage, root: string): Work {
    const key = root + branchKey(message);
    const known = works.get(key);
    if (known !== undefined) return known;
    instance ??= newInstance();
    made += 1;
    const branch = newBranch(message, `${instance.name}.${made}`, instance.firstId);
    const work: Work = { branch, root, turn: undefined, timer: undefined };
    // What it held ends by itself; its isolates are answered as by a shard that has just started.
    const gone = works.set(key, work);
    if (gone?.timer !== undefined) clearTimeout(gone.timer);
    return work;
  }

  function ask(root: string, message: LeaseMessage): Promise<LeaseReply> {
    return namespace.get(namespace.idFromName(root), ONE_TRY).lease(message);
  }

  function call(work: Work, message: LeaseMessage): void {
    const turn = settled(work, message).finally(() => {
      if (work.turn === turn) work.turn = undefined;
    });
    work.turn = turn;
  }

  async function settled({ branch, root }: Work, message: LeaseMessage): Promise<void> {
    try {
      const reply = await within(ask(root, message), CALL_MS, silent);
      answerFromRoot(branch, message.seq, reply, Date.now(), ALL_RULES.lease);
    } catch (error) {
      failedAtRoot(branch, message.seq, Date.now());
      console.error(JSON.stringify({ level: "error", event: "shard-root-failed", error: String(error) }));
    }
  }

  /** Looks after a lease that nobody asks about any more. */
  function watch(work: Work): void {
    const dueAt = retireAt(work.branch);
    if (dueAt === undefined || work.timer !== undefined) return;
    work.timer = setTimeout(
      () => {
        work.timer = undefined;
        const message = retire(work.branch, Date.now());
        if (message === undefined) watch(work);
        // When it is lost, its tokens are: the root's record of the lease ends by itself.
        else void ask(work.root, message).catch(() => {});
      },
      Math.max(1, dueAt - Date.now()),
    );
  }

  return {
    countCalls(memory, message, now) {
      memory.calls = countCalls(memory.calls ?? newLoad(now), message, now, counting);
      return shardNotice(memory.calls, counting);
    },
    async lease(message, root) {
      const work = workFor(message, root);
      const until = Date.now() + WAIT_MS;
      const repeated = hear(work.branch, message, Date.now());
      if (repeated !== undefined) return repeated;
      let hasAsked = false;
      for (;;) {
        const served = serve(work.branch, message, Date.now(), hasAsked);
        if (served.kind === "failed") throw new Error(`${ROOT_SILENT}: the root of this shard has just failed`);
        if (served.call !== undefined) call(work, served.call);
        watch(work);
        if (served.kind === "answered") return served.reply;
        hasAsked ||= served.call !== undefined;
        if (work.turn === undefined) throw new Error("a shard waits for a call that nobody has made");
        await within(work.turn, until - Date.now(), silent);
      }
    },
  };
}

function newInstance(): { readonly name: string; readonly firstId: number } {
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
  return { name: crypto.randomUUID(), firstId: FIRST_ID + (random >>> 1) * RANGE };
}

function silent(): Error {
  return new Error(`${ROOT_SILENT}: it did not answer in time`);
}
