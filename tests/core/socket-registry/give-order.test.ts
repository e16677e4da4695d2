import { describe, expect, it } from "vitest";
import { giveOrder, type OrderedRelay } from "../../../objects/socket-registry/give-order.ts";
import type { SessionEntry } from "../../../objects/socket-registry/registry-messages.ts";
import type { CloseOrder, ControlReply } from "../../../objects/web-socket-relay/session-control.ts";
import { description, objectId } from "./session-entry.ts";

function entry(id: string, object: string): SessionEntry {
  return { ...description(id), object };
}

/** Sessions of objects, by one letter each. */
function sessions(objects: string): readonly SessionEntry[] {
  return objects.split("").map((letter, index) => entry(`s${index}`, objectId(letter)));
}

/** Relays that note what they are told; `b` cannot be reached. */
function relays(reply: ControlReply = "done") {
  const closed: CloseOrder[] = [];
  const sent: unknown[] = [];
  let atOnce = 0;
  let most = 0;

  async function answer(count: number): Promise<readonly ControlReply[]> {
    atOnce += 1;
    most = Math.max(most, atOnce);
    await Promise.resolve();
    atOnce -= 1;
    return Array.from({ length: count }, () => reply);
  }

  function relayAt(object: string): OrderedRelay {
    if (object === objectId("b")) throw new Error("unreachable");
    return {
      closeSessions(order) {
        closed.push(order);
        return answer(order.sessions.length);
      },
      sendToSessions(ids, message) {
        sent.push([object, ids, message]);
        return answer(ids.length);
      },
    };
  }

  return { relayAt, closed, sent, most: () => most };
}

const NONE = { v: 1, done: 0, gone: 0, unsupported: 0, full: 0, failed: 0 };

describe("an order", () => {
  it("goes to each object once with all its sessions, and what fails fails for those alone", async () => {
    const { relayAt, sent } = relays();
    expect(await giveOrder(sessions("abac"), { kind: "send", message: "hi" }, relayAt)).toEqual({
      ...NONE,
      matched: 4,
      done: 3,
      failed: 1,
    });
    expect(sent).toEqual([
      [objectId("a"), ["s0", "s2"], "hi"],
      [objectId("c"), ["s3"], "hi"],
    ]);
  });

  it("to close is spread evenly over its time", async () => {
    const { relayAt, closed } = relays();
    const order = { kind: "close", code: 1012, reason: "deploy", spreadMs: 1_000 } as const;
    await giveOrder(sessions("acac"), order, relayAt);
    expect(closed).toEqual([
      {
        code: 1012,
        reason: "deploy",
        sessions: [
          { id: "s0", afterMs: 0 },
          { id: "s2", afterMs: 500 },
        ],
      },
      {
        code: 1012,
        reason: "deploy",
        sessions: [
          { id: "s1", afterMs: 250 },
          { id: "s3", afterMs: 750 },
        ],
      },
    ]);
  });

  it("goes to a few objects at a time, and each reply is counted", async () => {
    const { relayAt, most } = relays("gone");
    const letters = "0123456789acdef";
    const many = Array.from({ length: 600 }, (_, index) => ({
      ...description(`s${index}`),
      object:
        `${letters[index % 15]}${letters[Math.floor(index / 15) % 15]}${letters[Math.floor(index / 225)]}`.padStart(
          64,
          "0",
        ),
    }));
    expect(await giveOrder(many, { kind: "send", message: "" }, relayAt)).toEqual({ ...NONE, matched: 600, gone: 600 });
    expect(most()).toBe(50);
  });

  it("to nobody is one to nobody", async () => {
    expect(await giveOrder([], { kind: "send", message: "" }, relays().relayAt)).toEqual({ ...NONE, matched: 0 });
  });
});
