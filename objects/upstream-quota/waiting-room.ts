import { createFairQueue, PRIORITIES, type FairQueue, type Queued } from "./fair-queue.ts";
import { QUOTA_RULES, type QuotaRules } from "./quota-rules.ts";

/** A request that waits for a slot. Times are the owner's. */
export interface Waiter extends Queued {
  /** Names its isolate, and with `seq` the request. */
  readonly isolate: string;
  readonly seq: number;
  readonly arrivedAt: number;
  /** A slot that begins later is of no use. */
  readonly deadlineAt: number;
  readonly toleranceMs: number;
  /** Slots ahead that its isolate has use for. */
  readonly spare: number;
}

/** Those who wait, as many as there is room for; only in memory. */
export interface WaitingRoom {
  readonly queue: Pick<FairQueue<Waiter>, "peek" | "take" | "size" | "clients" | "all">;
  /** Lets a request in. Returns the one that has to go for it, which may be itself; undefined: there is room. */
  enter(waiter: Waiter, maxQueue: number): Waiter | undefined;
  /** Takes out all for whom a slot that begins at `at` comes too late. */
  expire(at: number): readonly Waiter[];
  /** Takes out a request whose client has left; undefined: it does not wait. */
  withdraw(isolate: string, seq: number): Waiter | undefined;
}

/** Makes an empty room. */
export function createWaitingRoom(rules: QuotaRules = QUOTA_RULES): WaitingRoom {
  const queue = createFairQueue<Waiter>(rules);
  /** No deadline is nearer than this; looked up again when it has passed. */
  let nearest = Infinity;

  function deadlines(): number {
    let first = Infinity;
    for (const { deadlineAt } of queue.all()) first = Math.min(first, deadlineAt);
    return first;
  }

  function add(waiter: Waiter): void {
    queue.add(waiter);
    nearest = Math.min(nearest, waiter.deadlineAt);
  }

  return {
    queue,
    enter(waiter, maxQueue) {
      if (queue.size < maxQueue) {
        add(waiter);
        return undefined;
      }
      const crowding = queue.crowding();
      if (crowding === undefined || !isWorseOff(crowding.item, crowding.length, waiter, queue.lengthOf(waiter))) {
        return waiter;
      }
      queue.remove(crowding.item);
      add(waiter);
      return crowding.item;
    },
    expire(at) {
      if (nearest >= at) return [];
      const late = [...queue.all()].filter(({ deadlineAt }) => deadlineAt < at);
      for (const waiter of late) queue.remove(waiter);
      nearest = deadlines();
      return late;
    },
    withdraw(isolate, seq) {
      for (const waiter of queue.all()) {
        if (waiter.seq !== seq || waiter.isolate !== isolate) continue;
        queue.remove(waiter);
        return waiter;
      }
      return undefined;
    },
  };
}

/** Whether one that waits has to go for one that comes: of a lower class, or of a client with two more in the same. */
function isWorseOff(waits: Queued, length: number, comes: Queued, waiting: number): boolean {
  const [low, high] = [PRIORITIES.indexOf(waits.priority), PRIORITIES.indexOf(comes.priority)];
  return low > high || (low === high && length > waiting + 1);
}
