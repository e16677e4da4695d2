import { expect, it } from "vitest";
import { MAX_LAG_BYTES } from "../../../objects/dedup/fan-out.ts";
import { newSharedBody } from "../../../objects/dedup/shared-body.ts";

const HEAD = new Uint8Array([9]);

/** A reader that takes something when it is told to. */
function reader() {
  const got: number[] = [];
  const waiting: (() => void)[] = [];
  return {
    got,
    write: (chunk: Uint8Array) =>
      new Promise<void>((resolve) => {
        waiting.push(() => {
          got.push(...chunk.slice(0, 4));
          resolve();
        });
      }),
    async take(times: number) {
      for (let taken = 0; taken < times; taken += 1) {
        await settled();
        waiting.shift()?.();
      }
      await settled();
    },
  };
}

/** Lets everything happen that waits for nothing. */
const settled = () => new Promise((resolve) => void setImmediate(resolve));

it("gives each reader all of it from the first byte, at his own speed, also who joins late", async () => {
  const body = newSharedBody();
  const [fast, slow, late] = [reader(), reader(), reader()];
  const first = body.deliver(1, fast.write, HEAD);
  const second = body.deliver(2, slow.write, HEAD);
  body.add(new Uint8Array([1]));
  await fast.take(2);
  const third = body.deliver(3, late.write, HEAD);
  body.add(new Uint8Array([2]));
  body.end(true);
  await Promise.all([fast.take(1), slow.take(3), late.take(3)]);
  await Promise.all([first, second, third]);
  expect([fast.got, slow.got, late.got]).toEqual([
    [9, 1, 2],
    [9, 1, 2],
    [9, 1, 2],
  ]);
});

it("breaks everybody off where it breaks off", async () => {
  const body = newSharedBody();
  const [one, other] = [reader(), reader()];
  const delivered = Promise.allSettled([body.deliver(1, one.write, HEAD), body.deliver(2, other.write, HEAD)]);
  body.add(new Uint8Array([1]));
  body.end(false);
  await Promise.all([one.take(1), other.take(1)]);
  expect((await delivered).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});

it("lets nobody join once what all have read may go", async () => {
  const body = newSharedBody();
  body.close();
  await expect(body.deliver(1, reader().write, HEAD)).rejects.toThrow("the first byte is not kept any more");
});

it("breaks off who is too far behind while more is to come, and hurries nobody once all has come", async () => {
  for (const hasEnded of [false, true]) {
    const body = newSharedBody();
    const [slow, fast] = [reader(), reader()];
    const delivered = Promise.allSettled([body.deliver(1, slow.write, HEAD)]);
    const first = body.deliver(2, fast.write, HEAD);
    body.add(new Uint8Array(MAX_LAG_BYTES));
    body.add(new Uint8Array(1));
    await fast.take(3);
    if (hasEnded) body.end(true);
    body.close();
    expect(body.kept()).toBe(hasEnded ? MAX_LAG_BYTES + 1 : 0);
    await slow.take(3);
    const [{ status }] = await delivered;
    expect(status).toBe(hasEnded ? "fulfilled" : "rejected");
    body.end(true);
    await first;
  }
});

it("takes no more from the origin than the fastest reader can follow, once it isn't kept whole", async () => {
  const body = newSharedBody();
  const fast = reader();
  const delivered = body.deliver(1, fast.write, HEAD);
  body.close();
  body.add(new Uint8Array(2 ** 20 + 1));
  let hasRoom = false;
  const room = body.room().then(() => {
    hasRoom = true;
  });
  await fast.take(1);
  expect(hasRoom).toBe(false);
  await fast.take(1);
  await room;
  body.end(true);
  await delivered;
});
