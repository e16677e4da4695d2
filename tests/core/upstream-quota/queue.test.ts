import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createFairQueue, PRIORITIES, type Priority } from "../../../objects/upstream-quota/fair-queue.ts";
import { QUOTA_RULES } from "../../../objects/upstream-quota/quota-rules.ts";
import { createWaitingRoom, type Waiter } from "../../../objects/upstream-quota/waiting-room.ts";

let seq = 0;

function waiter(client: string, priority: Priority = "normal", deadlineAt = 1_000): Waiter {
  seq += 1;
  return { isolate: "a", seq, client, priority, arrivedAt: 0, deadlineAt, toleranceMs: 0, spare: 0 };
}

function queueOf(...clients: readonly (readonly [client: string, priority: Priority])[]) {
  const queue = createFairQueue<Waiter>();
  for (const [client, priority] of clients) queue.add(waiter(client, priority));
  return queue;
}

describe("the queue", () => {
  it("never serves one of two clients that both wait more than once more than the other", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", "b", "c", "take", "take"), { maxLength: 300 }), (acts) => {
        const queue = createFairQueue<Waiter>();
        // Both wait all the time; the others come and go.
        for (let count = 0; count < 400; count += 1) for (const client of ["x", "y"]) queue.add(waiter(client));
        const served = { x: 0, y: 0 };
        for (const act of acts) {
          if (act !== "take") {
            queue.add(waiter(act));
            continue;
          }
          const client = queue.take()?.client;
          if (client === "x" || client === "y") served[client] += 1;
          expect(Math.abs(served.x - served.y)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it("delays a client by one turn of those who wait before it, whatever new names come", () => {
    const queue = createFairQueue<Waiter>();
    for (const client of ["honest", "honest", "a", "b", "c"]) queue.add(waiter(client));
    const served: (string | undefined)[] = [];
    for (let count = 0; count < 5; count += 1) {
      served.push(queue.take()?.client);
      queue.add(waiter(`new ${count}`));
      queue.add(waiter(`newer ${count}`));
    }
    expect(served).toEqual(["honest", "a", "b", "c", "honest"]);
  });

  it("lets a client that comes back at once wait for those who have had no turn, and for no others", () => {
    const queue = createFairQueue<Waiter>();
    const take = () => queue.take()?.client;
    queue.add(waiter("quick"));
    const served = [take()];
    for (const client of ["quick", "a", "b"]) queue.add(waiter(client));
    served.push(take());
    queue.add(waiter("late"));
    expect([...served, take(), take(), take(), take()]).toEqual(["quick", "a", "b", "quick", "late", undefined]);
  });

  it("shares slots between classes that all wait as 16, 4 and 1", () => {
    const queue = createFairQueue<Waiter>();
    for (let count = 0; count < 200; count += 1) for (const priority of PRIORITIES) queue.add(waiter("a", priority));
    const served = { critical: 0, normal: 0, low: 0 };
    for (let count = 0; count < 210; count += 1) served[queue.take()?.priority ?? "low"] += 1;
    expect(served).toEqual({ critical: 160, normal: 40, low: 10 });
  });

  it("gives a class no credit for the time that it was away", () => {
    const queue = createFairQueue<Waiter>();
    for (let count = 0; count < 100; count += 1) queue.add(waiter("a", "critical"));
    for (let count = 0; count < 50; count += 1) queue.take();
    for (let count = 0; count < 10; count += 1) queue.add(waiter("b", "low"));
    const next = Array.from({ length: 40 }, () => queue.take()?.priority);
    expect(next.filter((priority) => priority === "low").length).toBeLessThanOrEqual(3);
  });

  it("serves the requests of a client in their order, and is empty then", () => {
    const queue = createFairQueue<Waiter>();
    const items = [waiter("a"), waiter("a"), waiter("a")];
    for (const item of items) queue.add(item);
    expect([queue.peek(), queue.take(), queue.take(), queue.take(), queue.take()]).toEqual([
      items[0],
      ...items,
      undefined,
    ]);
    expect([queue.size, queue.clients, [...queue.all()]]).toEqual([0, 0, []]);
  });

  it("takes no turn from a client whose request has left", () => {
    const queue = createFairQueue<Waiter>();
    const gone = waiter("a");
    queue.add(gone);
    for (const client of ["b", "a", "b"]) queue.add(waiter(client));
    expect([queue.remove(gone), queue.remove(gone), queue.remove(waiter("c"))]).toEqual([true, false, false]);
    expect([queue.take(), queue.take(), queue.take()].map((item) => item?.client)).toEqual(["a", "b", "b"]);
  });

  it("is what a check of fairness notices when the first is served until he has nothing left", () => {
    const queue = createFairQueue<Waiter>({
      ...QUOTA_RULES,
      afterTurn: (client, [current]) => void current.unshift(client),
    });
    for (let count = 0; count < 5; count += 1) for (const client of ["x", "y"]) queue.add(waiter(client));
    expect(Array.from({ length: 5 }, () => queue.take()?.client).join("")).toBe("xxxxx");
  });

  it("names the newest request of whoever has most in the lowest class", () => {
    const queue = queueOf(["a", "low"], ["b", "low"], ["c", "critical"], ["c", "critical"]);
    const newest = waiter("b", "low");
    queue.add(newest);
    expect(queue.crowding()).toEqual({ item: newest, length: 2 });
    expect(createFairQueue<Waiter>().crowding()).toBeUndefined();
  });
});

describe("a full room", () => {
  it.each<[string, readonly [string, Priority][], readonly [string, Priority], string]>([
    [
      "turns the newcomer away when all are alike",
      [
        ["a", "normal"],
        ["b", "normal"],
      ],
      ["c", "normal"],
      "c",
    ],
    [
      "has the client with most make room for one with fewer",
      [
        ["a", "normal"],
        ["a", "normal"],
      ],
      ["b", "normal"],
      "a",
    ],
    [
      "does not change places between clients that are nearly alike",
      [
        ["a", "normal"],
        ["a", "normal"],
      ],
      ["a", "normal"],
      "a",
    ],
    [
      "has a lower class make room",
      [
        ["a", "low"],
        ["b", "normal"],
      ],
      ["c", "critical"],
      "a",
    ],
    [
      "never has a higher class make room",
      [
        ["a", "critical"],
        ["a", "critical"],
      ],
      ["c", "low"],
      "c",
    ],
  ])("%s", (_title, inside, [client, priority], gone) => {
    const room = createWaitingRoom();
    for (const [who, what] of inside) expect(room.enter(waiter(who, what), 2)).toBeUndefined();
    expect(room.enter(waiter(client, priority), 2)?.client).toBe(gone);
    expect(room.queue.size).toBe(2);
  });
});

describe("a room", () => {
  it("lets those go whose slot would come too late", () => {
    const room = createWaitingRoom();
    for (const deadlineAt of [30, 10, 20]) room.enter(waiter("a", "normal", deadlineAt), 9);
    expect(room.expire(10)).toEqual([]);
    expect(room.expire(21).map(({ deadlineAt }) => deadlineAt)).toEqual([10, 20]);
    expect(room.expire(30)).toEqual([]);
    expect(room.expire(31).map(({ deadlineAt }) => deadlineAt)).toEqual([30]);
    expect(room.queue.size).toBe(0);
  });

  it("lets one go by its isolate and number", () => {
    const room = createWaitingRoom();
    const one = waiter("a");
    room.enter(one, 9);
    expect([room.withdraw("b", one.seq), room.withdraw("a", one.seq), room.withdraw("a", one.seq)]).toEqual([
      undefined,
      one,
      undefined,
    ]);
  });
});
