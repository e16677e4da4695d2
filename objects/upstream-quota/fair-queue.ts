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
  /** Clients that wait, in the order of their turns. */
  round: readonly string[];
  readonly flows: Map<string, Item[]>;
}

/**
 * Makes an empty queue.
 *
 * Inside a class deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) with requests of one size and a quantum of one: each
 * client in its turn, those who come at the end of the round, so of two who both wait all the time neither is ever served more than once
 * more than the other. Between classes start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): a class that was away gets no credit for it.
 */
export function createFairQueue<Item extends Queued>(rules: QuotaRules = QUOTA_RULES): FairQueue<Item> {
  const lines = PRIORITIES.map((priority): Line<Item> => ({ priority, start: 0, round: [], flows: new Map() }));
  let virtual = 0;
  let size = 0;

  function lineOf(priority: Priority): Line<Item> | undefined {
    return lines.find((line) => line.priority === priority);
  }

  /** Of classes that are due together the most important. */
  function due(): Line<Item> | undefined {
    let first: Line<Item> | undefined;
    for (const line of lines) {
      if (line.round.length > 0 && (first === undefined || line.start < first.start)) first = line;
    }
    return first;
  }

  function drop(line: Line<Item>, client: string): void {
    line.flows.delete(client);
    line.round = line.round.filter((one) => one !== client);
  }

  return {
    add(item) {
      const line = lineOf(item.priority);
      if (line === undefined) return;
      size += 1;
      if (line.round.length === 0) line.start = Math.max(line.start, virtual);
      const flow = line.flows.get(item.client);
      if (flow !== undefined) {
        flow.push(item);
        return;
      }
      line.flows.set(item.client, [item]);
      line.round = [...line.round, item.client];
    },
    peek() {
      const line = due();
      return line?.flows.get(line.round[0] ?? "")?.[0];
    },
    take() {
      const line = due();
      const client = line?.round[0];
      if (line === undefined || client === undefined) return undefined;
      const flow = line.flows.get(client);
      const item = flow?.shift();
      if (flow === undefined || item === undefined) return undefined;
      size -= 1;
      virtual = line.start;
      line.start += STRIDES[line.priority];
      line.round = rules.nextTurn(line.round);
      if (flow.length === 0) drop(line, client);
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
      const line = lines.findLast(({ round }) => round.length > 0);
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
      return new Set(lines.flatMap(({ round }) => round)).size;
    },
    *all() {
      for (const { flows } of lines) for (const flow of flows.values()) yield* flow;
    },
  };
}
