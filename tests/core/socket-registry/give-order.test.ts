import { describe, expect, it } from "vitest";
import { giveOrder, partOf, type OrderedRelay } from "../../../objects/socket-registry/give-order.ts";
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

/** Sessions with an object each, in the order of the list. */
function alone(count: number): readonly SessionEntry[] {
  return Array.from({ length: count }, (_, index) =>
    entry(`s${String(index).padStart(4, "0")}`, objectId(index.toString(16).replaceAll("b", "g"))),
  );
}

const START = 1_790_000_000_000;

function whole(entries: readonly SessionEntry[]) {
  return partOf(entries, undefined, START);
}

const NONE = { v: 1, next: null, done: 0, gone: 0, unsupported: 0, full: 0, failed: 0 };

describe("an order", () => {
  it("goes to each object once with all its sessions, and what fails fails for those alone", async () => {
    const { relayAt, sent } = relays();
    expect(await giveOrder(whole(sessions("abac")), { kind: "send", message: "hi" }, relayAt)).toEqual({
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
    await giveOrder(whole(sessions("acac")), order, relayAt);
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
    const reply = await giveOrder(whole(alone(500)), { kind: "send", message: "" }, relayAt);
    expect(reply).toEqual({ ...NONE, matched: 500, gone: 500 });
    expect(most()).toBe(50);
  });

  it("has as many parts as it takes, each for 500 objects, and is spread over all of them", async () => {
    const { relayAt, closed } = relays();
    const order = { kind: "close", code: 1012, reason: "", spreadMs: 12_000 } as const;
    const all = alone(1_200);
    const first = partOf(all, undefined, START);
    const replies = [await giveOrder(first, order, relayAt)];
    // One has ended meanwhile, and one was opened that is not meant.
    const later = [{ ...entry("new", objectId("a")), openedAt: START + 1 }, ...all.slice(1)];
    const second = partOf(later, first.next ?? undefined, START + 1_000);
    replies.push(await giveOrder(second, order, relayAt));
    const third = partOf(later, second.next ?? undefined, START + 2_000);
    replies.push(await giveOrder(third, order, relayAt));
    expect(replies.map(({ matched, done }) => [matched, done])).toEqual([
      [500, 500],
      [500, 500],
      [200, 200],
    ]);
    expect(third.next).toBeNull();
    const told = closed.flatMap((one) => one.sessions);
    expect(told.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
    expect([0, 499, 500, 999, 1_000, 1_199].map((index) => told[index]?.afterMs)).toEqual([
      0, 4_990, 4_000, 8_990, 8_000, 9_990,
    ]);
  });

  it("has one part where there are 500 objects, however many sessions they have", () => {
    const [some, one] = [alone(500), alone(501)];
    expect([whole(some).next, whole(sessions("a".repeat(501))).next]).toEqual([null, null]);
    const after = { openedAt: one[499]?.openedAt, id: "s0499" };
    expect(whole(one)).toEqual({
      entries: one.slice(0, 500),
      given: 0,
      of: 501,
      elapsedMs: 0,
      next: { after, given: 500, of: 501, since: START },
    });
  });

  it("fails for objects that do not answer in time, and for those alone", async () => {
    const { relayAt } = relays();
    const silent = {
      closeSessions: () => new Promise<never>(() => {}),
      sendToSessions: () => new Promise<never>(() => {}),
    };
    const at = (object: string) => (object === objectId("c") ? silent : relayAt(object));
    const { promise: late, reject } = Promise.withResolvers<never>();
    const given = giveOrder(whole(sessions("acab")), { kind: "send", message: "" }, at, late);
    await Promise.resolve();
    reject(new Error("late"));
    expect(await given).toEqual({ ...NONE, matched: 4, done: 2, failed: 2 });
  });

  it("is carried out at once where its time is over, and in whole milliseconds", async () => {
    const order = { kind: "close", code: 1012, reason: "", spreadMs: 1_000 } as const;
    const spread = async (now: number) => {
      const { relayAt, closed } = relays();
      const rest = { after: { openedAt: START, id: "" }, given: 0, of: 3, since: START };
      await giveOrder(partOf(sessions("aaa"), rest, now), order, relayAt);
      return closed.flatMap((one) => one.sessions.map(({ afterMs }) => afterMs));
    };
    expect([await spread(START), await spread(START + 500), await spread(START + 2_000)]).toEqual([
      [0, 333, 667],
      [0, 0, 167],
      [0, 0, 0],
    ]);
  });

  it("to nobody is one to nobody", async () => {
    expect(await giveOrder(whole([]), { kind: "send", message: "" }, relays().relayAt)).toEqual({
      ...NONE,
      matched: 0,
    });
  });
});
