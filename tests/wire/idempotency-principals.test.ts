import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { Origin } from "../support/origin/origin.ts";
import { problemOf } from "../support/problem.ts";
import { ask, type RawAnswer } from "../support/raw-client.ts";

/** Who asks: an address, and header fields. */
interface Asker {
  readonly client?: string;
  readonly headers?: readonly string[];
  readonly route?: string;
}

/** What the second asker gets who is not the first: an answer of his own, or a refusal. */
type Fate = "own" | "refused";

const TOKEN = "Authorization: Bearer";

const PAIRS: readonly (readonly [name: string, first: Asker, second: Asker, fate: Fate])[] = [
  ["another address", {}, { client: "192.0.2.2" }, "own"],
  ["another address of one IPv6 network", { client: "2001:db8::1" }, { client: "2001:db8::2" }, "own"],
  [
    "an address and another with the same token",
    { headers: [`${TOKEN} a`] },
    { client: "192.0.2.2", headers: [`${TOKEN} a`] },
    "own",
  ],
  ["another token", { headers: [`${TOKEN} a`] }, { headers: [`${TOKEN} b`] }, "refused"],
  ["a token and none", { headers: [`${TOKEN} a`] }, {}, "refused"],
  ["none and a token", {}, { headers: [`${TOKEN} a`] }, "refused"],
  ["another scheme", { headers: [`${TOKEN} a`] }, { headers: ["Authorization: Basic a"] }, "refused"],
  ["another cookie", { headers: ["Cookie: session=a"] }, { headers: ["Cookie: session=b"] }, "refused"],
  ["one cookie more", { headers: ["Cookie: session=a"] }, { headers: ["Cookie: session=a; b=c"] }, "refused"],
  ["a token as cookie", { headers: [`${TOKEN} a`] }, { headers: ["Cookie: Bearer a"] }, "refused"],
  ["another route", { route: "plain" }, { route: "second" }, "own"],
  [
    "another account",
    { route: "account", headers: ["X-Account: a"] },
    { route: "account", headers: ["X-Account: b"] },
    "own",
  ],
  ["an account and none", { route: "account", headers: ["X-Account: a"] }, { route: "account" }, "own"],
  [
    "an account that its connection keeps",
    { route: "account", headers: ["X-Account: a"] },
    { route: "account", headers: ["X-Account: a", "Connection: x-account"] },
    "own",
  ],
  [
    "an account named like the address",
    { route: "account", headers: ["X-Account: 192.0.2.1"] },
    { route: "account" },
    "own",
  ],
  [
    "no account, and another token",
    { route: "account", headers: [`${TOKEN} a`] },
    { route: "account", headers: [`${TOKEN} b`] },
    "refused",
  ],
  ["another API key that CGI reads", { headers: ["X_API_Key: a"] }, { headers: ["X_API_Key: b"] }, "refused"],
  [
    "another session",
    { route: "session", headers: ["Cookie: sid=a"] },
    { route: "session", headers: ["Cookie: sid=b"] },
    "own",
  ],
  [
    "two sessions",
    { route: "session", headers: ["Cookie: sid=a"] },
    { route: "session", headers: ["Cookie: sid=a; sid=b"] },
    "own",
  ],
  [
    "fields that end elsewhere",
    { route: "both", headers: ["X-Account: a", "X-User: bc"] },
    { route: "both", headers: ["X-Account: ab", "X-User: c"] },
    "own",
  ],
  [
    "fields the other way round",
    { route: "both", headers: ["X-Account: a", "X-User: b"] },
    { route: "both", headers: ["X-Account: b", "X-User: a"] },
    "own",
  ],
];

let origin: Origin;
let gateway: Gateway;
let keys = 0;

beforeAll(async () => {
  origin = await Origin.start();
  const by = {
    plain: undefined,
    second: undefined,
    account: "header:x-account",
    session: "cookie:sid",
    both: ["header:x-account", "header:x-user"],
  };
  const routes = Object.entries(by).map(([id, keyed]) => ({
    id,
    path: `/${id}/*`,
    target: origin.url,
    idempotency: keyed === undefined ? true : { by: keyed },
  }));
  const clientIp = { header: "x-test-client", trustedProxies: ["127.0.0.0/8"] };
  gateway = await startGateway({ config: { allowPrivateTargets: true, clientIp, routes } });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

/** Posts with a secret of the asker's, which the origin's answer repeats. */
function post(
  { client = "192.0.2.1", headers = [], route = "plain" }: Asker,
  place: string,
  secret: string,
): Promise<RawAnswer> {
  const fields = [`X-Test-Client: ${client}`, `Idempotency-Key: key-${keys}`, `X-Secret: ${secret}`];
  return ask(gateway.url, {
    method: "POST",
    target: `/${route}/${place}`,
    headers: [...fields, ...headers],
    body: "hi",
  });
}

function fateOf(answer: RawAnswer, secret: string): Fate | undefined {
  if (problemOf(answer)?.code === "idempotency-key-reused") return "refused";
  return answer.status === 200 && answer.body.includes(secret) ? "own" : undefined;
}

describe.each(PAIRS)("%s", (_, first, second, fate) => {
  it("never gets what the first was answered", async () => {
    keys += 1;
    const answered = await post(first, "echo", "first-secret");
    expect(answered.body.includes("first-secret")).toBe(true);
    const other = await post(second, "echo", "second-secret");
    expect([
      fateOf(other, "second-secret"),
      other.rawHead.includes("eplayed"),
      other.body.includes("first-secret"),
    ]).toEqual([fate, false, false]);
    // The first one's is still there, and nobody else's is.
    const again = await post(first, "echo", "another-secret");
    expect([again.rawHead.includes("idempotent-replayed: true"), again.body.equals(answered.body)]).toEqual([
      true,
      true,
    ]);
  });

  it("never gets, nor waits for, what the first is being answered", async () => {
    keys += 1;
    const before = origin.seen.length;
    const answering = post(first, "held", "first-secret");
    await origin.until("the first is at the origin", ({ seen }) => seen.length === before + 1);
    const asking = post(second, "held", "second-secret");
    if (fate === "own") {
      await origin.until("the second is at the origin", ({ seen }) => seen.length === before + 2);
      origin.release();
    } else expect(fateOf(await asking, "second-secret")).toBe("refused");
    origin.release();
    const [mine, other] = await Promise.all([answering, asking]);
    expect([fateOf(mine, "first-secret"), fateOf(other, "second-secret")]).toEqual(["own", fate]);
    expect([mine.body.includes("second-secret"), other.body.includes("first-secret")]).toEqual([false, false]);
  });
});
