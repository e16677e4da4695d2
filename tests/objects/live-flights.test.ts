import { expect, it } from "vitest";
import { newPool } from "../../objects/connection-pool/pool.ts";
import { ORIGIN_SAYS, readAnswer, type FlightMessage } from "../../objects/dedup/flight-messages.ts";
import { newLiveFlights, type LiveFlights } from "../../objects/dedup/live-flights.ts";

const BODY = 7 * 2 ** 20;
const FACTS = {
  status: 200,
  vary: [],
  hasSetCookie: false,
  isPrivate: false,
  isNoStore: false,
  isNoCache: false,
  isStorable: true,
  ttlMs: 600_000,
  staleWhileRevalidateMs: 0,
};
const MESSAGE: FlightMessage = {
  v: 1,
  key: "k",
  route: "r",
  configVersion: 1,
  requestId: "test",
  client: { address: "", forwardedFor: "" },
  url: "http://gateway.test/",
  fields: [],
  place: "",
  hasStale: false,
  freshAfter: 0,
  windowMs: 60_000,
  coalesce: "fresh",
  totalMs: 30_000,
  idleMs: 30_000,
};

let asked = 0;

/** The flights of a key whose response anybody may have. */
function key(body: () => BodyInit = () => new Uint8Array(BODY)): LiveFlights {
  return newLiveFlights(() => {
    asked += 1;
    const at = Date.now();
    const says = { kind: "head", facts: FACTS, requestedAt: at, bytesRequestedAt: at, receivedAt: at, notes: {} };
    return Promise.resolve(new Response(body(), { headers: { [ORIGIN_SAYS]: JSON.stringify(says) } }));
  }, newPool());
}

async function read({ body }: Response): Promise<number> {
  if (body === null) throw new Error("a flight answers with a stream");
  await readAnswer(body);
  let bytes = 0;
  for await (const chunk of body) bytes += chunk.byteLength;
  return bytes;
}

it("breaks off nobody for being slower than the origin alone", async () => {
  const MANY = 24;
  let given = 0;
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller) {
      given += 1;
      controller.enqueue(new Uint8Array(2 ** 20));
      if (given === MANY) controller.close();
    },
  });
  const answer = key(() => stream).join(MESSAGE);
  // More than is kept whole.
  await expect.poll(() => given, { timeout: 20_000 }).toBeGreaterThan(8);
  expect(await read(answer)).toBe(MANY * 2 ** 20);
});

it("keeps no more for those who come late than there is room for, however many keys there are", async () => {
  const keys = Array.from({ length: 12 }, () => key());
  const before = asked;
  for (let round = 0; round < 2; round += 1) {
    for (const flights of keys) expect(await read(flights.join(MESSAGE))).toBe(BODY);
  }
  // Nine of them are 63 MiB.
  expect(asked - before).toBe(15);
});
