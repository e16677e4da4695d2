import type { ControlReply, SessionControl } from "../web-socket-relay/session-control.ts";
import type { OrderMessage, OrderReply, SessionEntry } from "./registry-messages.ts";

/** The methods of a relay object that carry out orders, as they are called from another. */
export type OrderedRelay = {
  readonly [Method in "closeSessions" | "sendToSessions"]: (
    ...args: Parameters<SessionControl[Method]>
  ) => Promise<readonly ControlReply[]>;
};

/** Calls under way at once: each may carry a message of a megabyte. */
const AT_ONCE = 50;

/**
 * Gives an order to all of these sessions: one call for each object that holds any, a few at a time. One that fails fails for
 * its own sessions only; nothing is tried twice.
 *
 * @param relayAt the object that holds a session.
 */
export async function giveOrder(
  entries: readonly SessionEntry[],
  order: OrderMessage["order"],
  relayAt: (object: string) => OrderedRelay,
): Promise<OrderReply> {
  const counts = { done: 0, gone: 0, unsupported: 0, full: 0, failed: 0 };
  const held = [...byObject(entries, order)];

  async function giveTo([object, sessions]: (typeof held)[number]): Promise<void> {
    try {
      const relay = relayAt(object);
      const replies =
        order.kind === "send"
          ? await relay.sendToSessions(
              sessions.map(({ id }) => id),
              order.message,
            )
          : await relay.closeSessions({ sessions, code: order.code, reason: order.reason });
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
  return { v: 1, matched: entries.length, ...counts };
}

interface Meant {
  readonly id: string;
  readonly afterMs: number;
}

/** Each session with its own moment of those that the order is spread over, the newest first. */
function byObject(entries: readonly SessionEntry[], order: OrderMessage["order"]): Map<string, Meant[]> {
  const spreadMs = order.kind === "close" ? order.spreadMs : 0;
  const objects = new Map<string, Meant[]>();
  for (const [index, { id, object }] of entries.entries()) {
    const meant = { id, afterMs: Math.round((spreadMs * index) / entries.length) };
    const known = objects.get(object);
    if (known === undefined) objects.set(object, [meant]);
    else known.push(meant);
  }
  return objects;
}
