import { QUOTA_RULES, type QuotaRules } from "./quota-rules.ts";

/** The classes of requests, the most important first. */
export const PRIORITIES = ["critical", "normal", "low"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Whose turn a request is. */
export interface Queued {
  /** Requests of one client and class are served in the order of their coming. */
  readonly client: string;
  readonly priority: Priority;
}

/** Requests that wait, in a fair order. */
export interface FairQueue<Item extends Queued> {
  add(item: Item): void;
  /** Who is next; undefined: nobody waits. Stays the same until the queue changes. */
  peek(): Item | undefined;
  /** Takes out who is next. */
  take(): Item | undefined;
  /** Takes out one that need not wait any more, which costs its client no turn. False: it was not there. */
  remove(item: Item): boolean;
  /** The newest request of the client that has most of them, in the lowest class that waits; undefined: nobody waits. */
  crowding(): { readonly item: Item; readonly length: number } | undefined;
  /** How many requests of a client wait in a class. */
  lengthOf(who: Queued): number;
  readonly size: number;
  readonly clients: number;
  all(): Iterable<Item>;
}

/** What a turn costs: 16, 4 and 1 of 21 turns where all classes wait. */
const STRIDES: Readonly<Record<Priority, number>> = { critical: 1, normal: 4, low: 16 };

interface Line<Item> {
  readonly priority: Priority;
  /** When its next request is due in the virtual time of all classes. */
  start: number;
  /** Clients that wait, each in one round, in the order of their turns: this one, the next, and the one after. */
  rounds: readonly [string[], string[], string[]];
  readonly flows: Map<string, Item[]>;
  /** Clients that had their turn in this round and nothing more to ask for then. */
  readonly served: Set<string>;
}

/**
 * Makes an empty queue.
 *
 * Inside a class deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) with requests of one size and a quantum of one: each
 * client in its turn, so of two who both wait all the time neither is ever served more than once more than the other. Who comes is in the
 * next round, and who had a turn in this one in the round after, lest he go before those who had none; nobody is put off longer.
 * Between classes start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): a class that was away gets no credit for it.
 */
export function createFairQueue<Item extends Queued>(rules: QuotaRules = QUOTA_RULES): FairQueue<Item> {
  const lines = PRIORITIES.map((priority): Line<Item> => ({
    priority,
    start: 0,
    rounds: [[], [], []],
    flows: new Map(),
    served: new Set(),
  }));
  let virtual = 0;
  let size = 0;

  function lineOf(priority: Priority): Line<Item> | undefined {
    return lines.find((line) => line.priority === priority);
  }

  /** Of classes that are due together the most important. */
  function due(): Line<Item> | undefined {
    let first: Line<Item> | undefined;
    for (const line of lines) {
      if (line.flows.size > 0 && (first === undefined || line.start < first.start)) first = line;
    }
    return first;
  }

  /** The clients whose turn it is, of a class in which somebody waits. */
  function turns(line: Line<Item>): string[] {
    while (line.rounds[0].length === 0) {
      const [, next, after] = line.rounds;
      line.rounds = [next, after, []];
      line.served.clear();
    }
    return line.rounds[0];
  }

  function drop(line: Line<Item>, client: string): void {
    line.flows.delete(client);
    for (const round of line.rounds) {
      const at = round.indexOf(client);
      if (at >= 0) round.splice(at, 1);
    }
  }

  return {
    add(item) {
      const line = lineOf(item.priority);
      if (line === undefined) return;
      size += 1;
      if (line.flows.size === 0) line.start = Math.max(line.start, virtual);
      const flow = line.flows.get(item.client);
      if (flow !== undefined) {
        flow.push(item);
        return;
      }
      line.flows.set(item.client, [item]);
      line.rounds[line.served.has(item.client) ? 2 : 1].push(item.client);
    },
    peek() {
      const line = due();
      return line?.flows.get(turns(line)[0] ?? "")?.[0];
    },
    take() {
      const line = due();
      if (line === undefined) return undefined;
      const client = turns(line).shift() ?? "";
      const flow = line.flows.get(client);
      const item = flow?.shift();
      if (flow === undefined || item === undefined) throw new Error("a client has its turn and nothing to ask for");
      size -= 1;
      virtual = line.start;
      line.start += STRIDES[line.priority];
      if (flow.length > 0) rules.afterTurn(client, line.rounds);
      else {
        line.flows.delete(client);
        line.served.add(client);
      }
      return item;
    },
    remove(item) {
      const line = lineOf(item.priority);
      const flow = line?.flows.get(item.client);
      const at = flow?.indexOf(item) ?? -1;
      if (line === undefined || flow === undefined || at < 0) return false;
      flow.splice(at, 1);
      size -= 1;
      if (flow.length === 0) drop(line, item.client);
      return true;
    },
    crowding() {
      const line = lines.findLast(({ flows }) => flows.size > 0);
      let longest: Item[] = [];
      for (const flow of line?.flows.values() ?? []) if (flow.length > longest.length) longest = flow;
      const item = longest.at(-1);
      return item === undefined ? undefined : { item, length: longest.length };
    },
    lengthOf({ client, priority }) {
      return lineOf(priority)?.flows.get(client)?.length ?? 0;
    },
    get size() {
      return size;
    },
    get clients() {
      return new Set(lines.flatMap(({ flows }) => [...flows.keys()])).size;
    },
    *all() {
      for (const { flows } of lines) for (const flow of flows.values()) yield* flow;
    },
  };
}
