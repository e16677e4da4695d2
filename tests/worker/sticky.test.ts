import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Backend } from "../../schemas/index.ts";
import { stickyTokens } from "../../worker/backends/sticky-token.ts";
import type { ChosenTarget } from "../../worker/backends/choice.ts";
import { targetState } from "../../worker/backends/target.ts";
import { asked, backendOf, balancerOf, chosen, NOW, requestWith } from "./balanced.ts";

const HOUR_MS = 3_600_000;
const OTHER_SECRET = "another secret of the tests";

/** What an answer of the chosen target carries to the client. */
function boundBy({ bind }: ChosenTarget, status = 200): Headers {
  const answer = new Response(null, { status });
  bind?.(answer);
  return answer.headers;
}

/** The cookie's value that a new client is given. */
async function bindNew(backend: Backend, now = NOW): Promise<{ readonly index: number; readonly token: string }> {
  const choice = await chosen(balancerOf(backend).choose(requestWith(), now));
  const [, token = ""] = /^sluice_target=([^;]+)/.exec(boundBy(choice).get("set-cookie") ?? "") ?? [];
  return { index: choice.index, token };
}

/** What an isolate makes of a cookie that has never seen it. */
function meetAnew(backend: Backend, token: string, now = NOW): Promise<ChosenTarget> {
  stickyTokens(OTHER_SECRET);
  return chosen(balancerOf({ ...backend }).choose(requestWith({ cookie: `sluice_target=${token}` }), now));
}

describe("a new client", () => {
  it.each([
    ["http", ""],
    ["https", "; Secure"],
  ] as const)("is bound by a cookie of the whole host that scripts don't see, over %s", async (scheme, secure) => {
    const { client } = requestWith();
    const exchange = requestWith({}, { client: { ...client, scheme } });
    const choice = await chosen(balancerOf(backendOf("abc", { sticky: "cookie" })).choose(exchange, NOW));
    expect(choice.sticky).toBe("new");
    const cookie = boundBy(choice).get("set-cookie") ?? "";
    expect(cookie.replace(/=1\.[\w-]{16}\.\w{8}\.[\w-]{43};/, "=TOKEN;")).toBe(
      `sluice_target=TOKEN; Path=/; Max-Age=82800; HttpOnly; SameSite=Lax${secure}`,
    );
  });

  it("is bound for its session where no time is set", async () => {
    const backend = backendOf("abc", { sticky: { name: "__Host-at", ttl: 0 } });
    const cookie = boundBy(await chosen(balancerOf(backend).choose(requestWith(), NOW))).get("set-cookie") ?? "";
    expect(cookie.replace(/=1\.[\w-]{16}\.0\.[\w-]{43};/, "=TOKEN;")).toBe(
      "__Host-at=TOKEN; Path=/; HttpOnly; SameSite=Lax",
    );
  });

  it("is not bound by an answer that shows the target failing, and by any other", async () => {
    const choice = await chosen(balancerOf(backendOf("abc", { sticky: "cookie" })).choose(requestWith(), NOW));
    const isBound = [200, 204, 304, 404, 500, 503].map((status) => boundBy(choice, status).has("set-cookie"));
    expect(isBound).toEqual([true, true, true, true, false, false]);
  });

  it("keeps the cookies that its target sets", async () => {
    const choice = await chosen(balancerOf(backendOf("abc", { sticky: "cookie" })).choose(requestWith(), NOW));
    const answer = new Response(null, { headers: { "set-cookie": "session=1" } });
    choice.bind?.(answer);
    expect(answer.headers.getSetCookie().map((cookie) => cookie.split("=", 1)[0])).toEqual([
      "session",
      "sluice_target",
    ]);
  });

  it("is not told where its target is, nor anything of its own that others would not be told", async () => {
    const backend = backendOf("a", { sticky: "cookie" });
    const two = {
      ...backend,
      targets: [...backend.targets, { url: "https://b.example", weight: 0, drain: false, regions: undefined }],
    };
    const [one, other] = [await bindNew(two), await bindNew(two)];
    expect(one).toEqual(other);
    const [, tag = "", , signature = ""] = one.token.split(".");
    for (const part of [tag, signature]) {
      expect(atob(part.replaceAll("-", "+").replaceAll("_", "/"))).not.toContain("example");
    }
  });
});

describe("a client that is bound", () => {
  const backend = backendOf("abcde", { sticky: "cookie" });

  it("is bound to the target that it met, among many clients that meet others", async () => {
    const bound = [];
    for (let client = 0; client < 40; client++) bound.push(await bindNew(backend));
    expect(new Set(bound.map(({ index }) => index)).size).toBeGreaterThan(1);
    for (const { index, token } of bound) expect((await meetAnew(backend, token)).index).toBe(index);
  });

  it("meets its target each time, and is told nothing more", async () => {
    const { index, token } = await bindNew(backend);
    const balancer = balancerOf(backend);
    for (let request = 0; request < 20; request++) {
      const choice = await balancer.choose(requestWith({ cookie: `x=1; sluice_target=${token}` }), NOW);
      expect(choice).toEqual({ kind: "target", index, sticky: "kept", bind: undefined });
    }
  });

  it("is known without waiting once its token has been seen, as a new one is bound once its target's has been made", async () => {
    const { token } = await bindNew(backend);
    const balancer = balancerOf(backendOf("ab", { sticky: "cookie", balance: "round-robin" }, { name: "turns" }));
    for (let target = 0; target < 2; target++) await balancer.choose(requestWith(), NOW);
    const bound = requestWith({ cookie: `sluice_target=${token}` });
    await balancer.choose(bound, NOW);
    expect(balancer.choose(bound, NOW)).not.toBeInstanceOf(Promise);
    expect(balancer.choose(requestWith(), NOW)).not.toBeInstanceOf(Promise);
  });

  it("meets it on an isolate that starts, after a reload that turns the list around and gives it no more share", async () => {
    const { index, token } = await bindNew(backend);
    const { url } = backend.targets[index] ?? { url: "" };
    const targets = backend.targets
      .toReversed()
      .map(({ url: other }) => ({ url: other, weight: other === url ? 0 : 1, drain: false, regions: undefined }));
    const choice = await meetAnew({ ...backend, targets }, token);
    expect([targets[choice.index]?.url, choice.sticky, choice.bind]).toEqual([url, "kept", undefined]);
  });

  it("keeps it while it drains, by configuration and by order; a new client never meets it", async () => {
    const draining = backendOf("fg", { sticky: "cookie" }, { ofTarget: (letter) => ({ drain: letter === "f" }) });
    const before = backendOf(
      "fg",
      { sticky: "cookie" },
      { ofTarget: (letter) => ({ weight: letter === "f" ? 1 : 0 }) },
    );
    const { token } = await bindNew(before);
    expect(await meetAnew(draining, token)).toMatchObject({ index: 0, sticky: "kept" });
    expect((await bindNew(draining)).index).toBe(1);
    const plain = backendOf("fg", { sticky: "cookie" });
    const state = targetState("https://f.example");
    state.isDraining = true;
    expect(await meetAnew(plain, token)).toMatchObject({ index: 0, sticky: "kept" });
    expect((await bindNew(plain)).index).toBe(1);
    state.isDraining = false;
  });

  it("stays bound when its target failed it once and another one answered", async () => {
    const { index, token } = await bindNew(backend);
    const exchange = requestWith({ cookie: `sluice_target=${token}` });
    for (const hours of [0, 14]) {
      const now = NOW + hours * HOUR_MS;
      const choice = await chosen(balancerOf(backend).choose(exchange, now, asked({ tried: [index] })));
      expect(choice.index).not.toBe(index);
      expect([choice.sticky, choice.bind]).toEqual(["kept", undefined]);
    }
  });

  it("is bound to another one when its own refuses, is down or is gone", async () => {
    const { index, token } = await bindNew(backend);
    const moved = async (choice: Promise<ChosenTarget>, of = backend) => {
      const { index: other, sticky, bind } = await choice;
      expect(of.targets[other]?.url).not.toBe(backend.targets[index]?.url);
      expect([sticky, bind === undefined]).toEqual(["moved", false]);
    };
    const exchange = requestWith({ cookie: `sluice_target=${token}` });
    await moved(chosen(balancerOf(backend).choose(exchange, NOW, asked({ refused: [index] }))));
    const state = targetState(backend.targets[index]?.url ?? "");
    state.downSince = NOW - 1;
    await moved(meetAnew(backend, token));
    state.downSince = undefined;
    const without = { ...backend, targets: backend.targets.toSpliced(index, 1) };
    await moved(meetAnew(without, token), without);
  });

  it("is bound for another while when half of its time is over, but not to a target that is to be left", async () => {
    const { index, token } = await bindNew(backend);
    const at = (hours: number) => meetAnew(backend, token, NOW + hours * HOUR_MS);
    expect((await at(11)).bind).toBeUndefined();
    const late = await at(14);
    expect([late.index, late.sticky]).toEqual([index, "kept"]);
    const [, renewed = ""] = /^sluice_target=([^;]+)/.exec(boundBy(late).get("set-cookie") ?? "") ?? [];
    expect((await meetAnew(backend, renewed, NOW + 36 * HOUR_MS)).index).toBe(index);
    const state = targetState(backend.targets[index]?.url ?? "");
    state.isDraining = true;
    expect(await at(14)).toMatchObject({ index, sticky: "kept", bind: undefined });
    state.isDraining = false;
  });

  it("is new when its time is over, at the latest a sixteenth late", async () => {
    const { token } = await bindNew(backend);
    expect((await meetAnew(backend, token, NOW + 23 * HOUR_MS - 1)).sticky).toBe("kept");
    expect((await meetAnew(backend, token, NOW + (23 + 23 / 16) * HOUR_MS)).sticky).toBe("new");
  });
});

describe("a token that is not ours names nobody", () => {
  const backend = backendOf("abcde", { sticky: "cookie" });

  it("whichever character was changed", async () => {
    const { token } = await bindNew(backend);
    // Of the last character two bits are of no meaning.
    for (let at = 0; at < token.length - 1; at++) {
      const changed = token.slice(0, at) + (token.charAt(at) === "a" ? "b" : "a") + token.slice(at + 1);
      expect((await meetAnew(backend, changed)).sticky, `character ${at}`).toBe("new");
    }
  });

  it("when it was signed under another secret", async () => {
    const exchange = requestWith({}, { env: { ...env, NAMING_SECRET: OTHER_SECRET } });
    const choice = await chosen(balancerOf({ ...backend }).choose(exchange, NOW));
    const [, token = ""] = /=([^;]+)/.exec(boundBy(choice).get("set-cookie") ?? "") ?? [];
    expect((await meetAnew(backend, token)).sticky).toBe("new");
  });

  it.each([
    ["empty", ""],
    ["another version", "2.aaaaaaaaaaaaaaaa.0.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    ["made up", "1.aaaaaaaaaaaaaaaa.0.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    ["not Base64", "1.aaaaaaaaaaaaaaa!.0.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa="],
    ["a URL", "https://a.example"],
    ["long", "a".repeat(4_000)],
  ])("that is %s", async (_what, token) => {
    expect((await meetAnew(backend, token)).sticky).toBe("new");
  });

  it("nor do two cookies of the name that differ", async () => {
    const { token } = await bindNew(backend);
    const exchange = requestWith({ cookie: `sluice_target=${token}; sluice_target=x` });
    expect((await chosen(balancerOf(backend).choose(exchange, NOW))).sticky).toBe("new");
  });

  it("nor one of another backend, whose targets may be the same", async () => {
    const { token } = await bindNew(backendOf("abcde", { sticky: "cookie" }, { name: "other" }));
    expect((await meetAnew(backend, token)).sticky).toBe("moved");
  });
});

describe("by header", () => {
  const backend = backendOf("abcde", { sticky: { by: "header", ttl: "1h" } });

  it("the token comes with the answer and goes with the next request", async () => {
    const choice = await chosen(balancerOf(backend).choose(requestWith(), NOW));
    const headers = boundBy(choice);
    const token = headers.get("x-sluice-target") ?? "";
    expect(headers.has("set-cookie")).toBe(false);
    const again = balancerOf(backend).choose(requestWith({ "x-sluice-target": token }), NOW);
    expect(await again).toEqual({ kind: "target", index: choice.index, sticky: "kept", bind: undefined });
    const late = balancerOf(backend).choose(requestWith({ "x-sluice-target": token }), NOW + 2 * HOUR_MS);
    expect((await chosen(late)).sticky).toBe("new");
  });
});

describe("the origin does not get what is between the client and the gateway", () => {
  it.each([
    ["the cookie", { sticky: "cookie" }, { cookie: "a=1; sluice_target=1.x; b=2" }, { cookie: "a=1; b=2" }],
    ["the only cookie", { sticky: "cookie" }, { cookie: "sluice_target=1.x" }, {}],
    ["the header", { sticky: "header" }, { "x-sluice-target": "1.x", cookie: "a=1" }, { cookie: "a=1" }],
    [
      "nothing that another policy binds by",
      { sticky: "header" },
      { cookie: "sluice_target=1" },
      { cookie: "sluice_target=1" },
    ],
  ])("%s", (_what, settings, sent, left) => {
    const headers = new Headers(Object.entries(sent));
    balancerOf(backendOf("ab", settings)).strip?.(headers);
    expect(Object.fromEntries(headers)).toEqual(left);
  });
});
