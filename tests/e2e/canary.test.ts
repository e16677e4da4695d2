import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../support/backend-fleet.ts";
import { CanaryFleet, ISOLATES, ROUTE, SENT } from "../support/canary-fleet.ts";

/** A quarter of the clients, so that few requests tell; a gate has the twentieth part, and a hundred thousand of them. */
const TERMS = { percent: 25, windowSeconds: 5 };

let state: string;
let canary: CanaryFleet;

beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), "sluice-canary-"));
  canary = await CanaryFleet.start(TERMS, state);
});

afterAll(async () => {
  await canary?.stop();
  rmSync(state, { recursive: true, force: true });
});

/** Whom isolates let a client meet, one after the other. */
async function meets(client: string, headers: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  const met: string[] = [];
  for (let isolate = 0; isolate < ISOLATES; isolate++) {
    const { servedBy } = await canary.fleet.ask("/shop/a", { isolate, headers: { "x-client": client, ...headers } });
    met.push(servedBy === canary.next.port ? "next" : "control");
  }
  return met;
}

const everyone = (name: string): readonly string[] => Array.from({ length: ISOLATES }, () => name);

/** Until every isolate has heard of an order. */
async function allMeet(client: string, name: string): Promise<void> {
  await eventually(`${client} to meet ${name}`, async () => (await meets(client)).every((met) => met === name), 200);
}

const release = `/canary/${ROUTE}`;

describe("a release", () => {
  let inNext: string;
  let inControl: string;

  it("has each client by its lot, the same on every isolate, and counts what came of them", async () => {
    const clients = await canary.send(400);
    for (let shift = 1; shift < ISOLATES; shift++) await canary.resend(clients, shift);
    const drawn = canary.drawn(clients);
    expect(canary.met()).toEqual(drawn);
    inNext = clients.find((client) => drawn.get(client)?.has("next") === true) ?? "";
    inControl = clients.find((client) => drawn.get(client)?.has("control") === true) ?? "";
    const nextClients = [...drawn.values()].filter((names) => names.has("next")).length;
    expect(Math.abs(nextClients / clients.length - TERMS.percent / 100)).toBeLessThan(0.1);
    // What isolates count they say with a request that comes a second later.
    await eventually(
      "the figures",
      async () => {
        await canary.send(ISOLATES, ISOLATES);
        const { body } = await canary.fleet.admin("GET", release);
        const [control, next] = figuresOf(body);
        return Number(control?.["requests"]) > 300 && Number(next?.["requests"]) > 100;
      },
      100,
    );
  });

  it("lets a request ask for a variant by header or cookie, and for the control, which counts nowhere", async () => {
    expect(await meets(inControl, { "x-variant": "next" })).toEqual(everyone("next"));
    expect(await meets(inNext, { "x-variant": "control" })).toEqual(everyone("control"));
    expect(await meets(inControl, { cookie: "a=b; variant=next" })).toEqual(everyone("next"));
    expect(await meets(inNext, { "x-variant": "none" })).toEqual(everyone("next"));
  });

  it("is in the log of each request", async () => {
    await canary.fleet.ask("/shop/logged", { headers: { "x-client": inNext } });
    const lines = () => canary.fleet.gateway.logs().filter(({ path }) => path === "/shop/logged");
    await eventually("the line", () => lines().length === 1);
    expect(lines()[0]?.["variant"]).toBe("next");
  });

  it("gives everybody what an operator promotes, nobody what he aborts, and goes on when he resets it", async () => {
    const promoted = await canary.fleet.admin("POST", `${release}/promote`, { variant: "next" });
    expect(promoted.body).toMatchObject({ order: "promote", route: ROUTE, promoted: "next", aborted: [] });
    await allMeet(inControl, "next");
    const aborted = await canary.fleet.admin("POST", `${release}/abort`);
    expect(aborted.body).toMatchObject({ order: "abort", promoted: null, aborted: ["next"] });
    await allMeet(inNext, "control");
    expect(await meets(inNext, { "x-variant": "next" })).toEqual(everyone("control"));
    await canary.fleet.admin("POST", `${release}/reset`);
    await allMeet(inNext, "next");
    expect(await meets(inControl)).toEqual(everyone("control"));
  });

  it("refuses orders that can't be, and knows nothing of routes that try nothing out", async () => {
    const control = await canary.fleet.admin("POST", `${release}/abort`, { variant: "control" });
    expect([control.status, control.what]).toEqual([400, "invalid-request"]);
    for (const id of ["plain", "nothing"]) {
      expect((await canary.fleet.admin("GET", `/canary/${id}`)).status).toBe(404);
      expect((await canary.fleet.admin("POST", `/canary/${id}/reset`)).status).toBe(404);
    }
    const { body } = await canary.fleet.admin("GET", "/canary");
    expect(body).toMatchObject({
      releases: [
        { route: ROUTE, owner: "answered" },
        { route: "shared", owner: "unused" },
      ],
    });
  });

  it("counts each request that many wait for once", async () => {
    let sent = 0;
    const together = "/together";
    const shareable = { "cache-control": "max-age=60" };
    await canary.next.behave({ kind: "answer", status: 200, headers: shareable }, together);
    await eventually("the figures", async () => {
      sent += 20;
      await Promise.all(Array.from({ length: 20 }, () => canary.fleet.ask(`/shared${together}/${sent}`)));
      const [, next] = figuresOf((await canary.fleet.admin("GET", "/canary/shared")).body);
      return Number(next?.["requests"]) > 3;
    });
    const [control, next] = figuresOf((await canary.fleet.admin("GET", "/canary/shared")).body);
    const received = canary.next.received(together).length;
    expect(received).toBeLessThan(sent);
    expect(next?.["requests"]).toBeLessThanOrEqual(received);
    expect(control?.["requests"]).toBe(0);
  });

  it("takes a version back that fails where the other does not, which a power cut does not undo", async () => {
    await canary.next.behave({ kind: "answer", status: 500 }, SENT);
    await canary.sendUntil("the abort", () => canary.events().some(({ cause }) => cause === "more-errors"));
    await allMeet(inNext, "control");
    await canary.fleet.kill();
    await canary.fleet.again();
    await allMeet(inNext, "control");
    const { body } = await canary.fleet.admin("GET", release);
    expect(body).toMatchObject({
      aborted: ["next"],
      history: [{ kind: "aborted", cause: "more-errors", by: "" }, {}, {}, {}],
    });
  });
});

function figuresOf(body: Readonly<Record<string, unknown>>): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(body["variants"]) ? body["variants"] : [];
}
