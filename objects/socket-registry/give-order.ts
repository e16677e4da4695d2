import type { ControlReply, SessionControl } from "../web-socket-relay/session-control.ts";
import { inOrder } from "./registry.ts";
import type { OrderMessage, OrderReply, OrderRest, SessionEntry } from "./registry-messages.ts";

/** The methods of a relay object that carry out orders, as they are called from another. */
export type OrderedRelay = {
  readonly [Method in "closeSessions" | "sendToSessions"]: (
    ...args: Parameters<SessionControl[Method]>
  ) => Promise<readonly ControlReply[]>;
};

/** Calls under way at once: each may carry a message of a megabyte. */
const AT_ONCE = 50;

/** Of one invocation, which may make a thousand calls. */
const MOST_OBJECTS = 500;

/** What of an order an invocation carries out. */
export interface OrderPart {
  readonly entries: readonly SessionEntry[];
  /** So many sessions come before these, of so many. */
  readonly given: number;
  readonly of: number;
  /** How long ago the order was given. */
  readonly elapsedMs: number;
  readonly next: OrderRest | null;
}

/** The next part of an order to all of these, in the order of the list. @param rest undefined: it begins. */
export function partOf(all: readonly SessionEntry[], rest: OrderRest | undefined, now: number): OrderPart {
  const { after, given = 0, of = all.length, since = now } = rest ?? {};
  const left = after === undefined ? all : all.filter((entry) => inOrder(after, entry) < 0);
  const objects = new Set<string>();
  const end = left.findIndex(({ object }) => objects.add(object).size > MOST_OBJECTS);
  const entries = end < 0 ? left : left.slice(0, end);
  const last = end < 0 ? undefined : entries.at(-1);
  const next =
    last === undefined
      ? null
      : { after: { openedAt: last.openedAt, id: last.id }, given: given + entries.length, of, since };
  return { entries, given, of, elapsedMs: now - since, next };
}

/**
 * Gives an order to all of these sessions: one call for each object that holds any, a few at a time. One that fails fails for
 * its own sessions only; nothing is tried twice.
 *
 * @param relayAt the object that holds a session.
 * @param late rejects when no object is waited for any longer. Default never.
 */
export async function giveOrder(
  part: OrderPart,
  order: OrderMessage["order"],
  relayAt: (object: string) => OrderedRelay,
  late: Promise<never> = new Promise(() => {}),
): Promise<OrderReply> {
  const counts = { done: 0, gone: 0, unsupported: 0, full: 0, failed: 0 };
  const held = [...byObject(part, order)];

  async function giveTo([object, sessions]: (typeof held)[number]): Promise<void> {
    try {
      const relay = relayAt(object);
      const carriedOut =
        order.kind === "send"
          ? relay.sendToSessions(
              sessions.map(({ id }) => id),
              order.message,
            )
          : relay.closeSessions({ sessions, code: order.code, reason: order.reason });
      const replies = await Promise.race([carriedOut, late]);
      for (const reply of replies) counts[reply] += 1;
    } catch {
      counts.failed += sessions.length;
    }
  }

  let next = 0;
  async function worker(): Promise<void> {
    for (let one = held[next++]; one !== undefined; one = held[next++]) await giveTo(one);
  }

  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { v: 1, matched: part.entries.length, next: part.next, ...counts };
}

interface Meant {
  readonly id: string;
  readonly afterMs: number;
}

/** Each session with its own moment of those that the order is spread over, the newest first. */
function byObject({ entries, given, of, elapsedMs }: OrderPart, order: OrderMessage["order"]): Map<string, Meant[]> {
  const spreadMs = order.kind === "close" ? order.spreadMs : 0;
  const objects = new Map<string, Meant[]>();
  for (const [index, { id, object }] of entries.entries()) {
    const meant = { id, afterMs: Math.max(0, Math.round((spreadMs * (given + index)) / of) - elapsedMs) };
    const known = objects.get(object);
    if (known === undefined) objects.set(object, [meant]);
    else known.push(meant);
  }
  return objects;
}
