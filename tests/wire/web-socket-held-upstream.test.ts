import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { heldSessions, texts, type Counts } from "../support/web-socket/held-sessions.ts";
import { startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

let relayed: Relayed;

beforeAll(async () => {
  const soon = { minDelay: "20ms" };
  relayed = await startRelayed({
    again: { held: { upstreamReconnect: { ...soon, replayFirst: 1, queueMessages: 3 } } },
    "given-up": { held: { upstreamReconnect: { ...soon, giveUp: "400ms" } } },
  });
});

afterAll(() => relayed?.stop());

const { open, inState, counted } = heldSessions(() => relayed);

describe("an origin that is lost", () => {
  it("is dialled again, told first what it was told first, then what has waited", async () => {
    const { id, sid, client, upstream } = await open("again");
    client.text("I am");
    client.text("two");
    expect(await texts(upstream, 2)).toEqual(["I am", "two"]);
    upstream.reset();
    client.text("three");
    const next = await relayed.origin.accept(`${sid}.`);
    expect(await texts(next, 1)).toEqual(["I am"]);
    // Its client has heard that before.
    next.text("welcome");
    expect(await texts(next, 1)).toEqual(["three"]);
    const seen = relayed.origin.seen.findLast(({ target }) => target.includes(`${sid}.`));
    expect(seen?.headers.find(([name]) => name === "x-ws-reconnect")).toEqual(["x-ws-reconnect", "1"]);
    next.text("A");
    expect(await texts(client, 1)).toEqual(["A"]);
    expect(await inState(id, "open")).toMatchObject({ upstream: relayed.origin.url, resumes: 0 });
    next.behave().close(1012);
    const third = await relayed.origin.accept(`${sid}.`);
    expect(await texts(third, 1)).toEqual(["I am"]);
    third.behave().close(4000, "over");
    expect(await client.behave().ended()).toMatchObject({ code: 4000, reason: "over" });
    const line = await relayed.line("web-socket", ({ session }) => session === id);
    expect(line).toMatchObject({ resumes: 0, replayed: 0, reconnects: 2 });
  });

  it.each([
    ["does not come back, in the end", "given-up", "503 Busy"],
    ["does not want it any more, at once", "again", "403 No"],
  ])("that %s is 1014 for the client", async (_what, route, status) => {
    const { client, upstream } = await open(route);
    relayed.origin.answers.set("/held", `HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`);
    upstream.reset();
    expect((await client.behave().ended()).code).toBe(1014);
    relayed.origin.answers.delete("/held");
  });

  it("that speaks another protocol than before is 1014 for the client", async () => {
    const { client, upstream, sid } = await open("again");
    relayed.origin.fields = "Sec-WebSocket-Protocol: another\r\n";
    upstream.reset();
    expect((await client.behave().ended()).code).toBe(1014);
    relayed.origin.fields = "";
    // It has let a session in that nobody has.
    expect((await (await relayed.origin.accept(`${sid}.`)).ended()).code).toBe(1006);
  });

  it("is waited for with so many messages, and no more", async () => {
    const { id, client, upstream } = await open("again");
    relayed.origin.answers.set("/held", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    upstream.reset();
    await inState(id, "reconnecting");
    for (const text of ["1", "2", "3", "4"]) client.text(text);
    expect((await client.behave().ended()).code).toBe(1013);
    relayed.origin.answers.delete("/held");
  });
});

it("counts what came of dialling again", async () => {
  const isAll = ({ again = {}, "given-up": givenUp = {} }: Counts) => {
    const here = ["open", "refused"].map((outcome) => again[`upstreamReconnects.${outcome}`]);
    const there = ["failed", "gave-up"].map((outcome) => givenUp[`upstreamReconnects.${outcome}`]);
    return [...here, again["budgetClosed"], ...there].every(Boolean);
  };
  const { again = {} } = await counted(isAll);
  // A session that has ended may have dialled once more.
  expect(again["upstreamReconnects.open"]).toBeGreaterThanOrEqual(2);
  expect(again["budgetClosed"]).toBe(1);
  // Two messages had no answer when the first connection was lost.
  expect(again["inFlightUnknown"]).toBeGreaterThanOrEqual(2);
});
