import { randomBytes } from "node:crypto";
import type { Proof } from "../../support/proof.ts";
import { shakeHands } from "../../support/web-socket/client.ts";
import { ANY_RATE, each, resumeTimes, rows } from "../../support/web-socket/proofs.ts";
import { startRelayed, type Relayed } from "../../support/web-socket/relayed.ts";
import { numbered, sameSequence, storm } from "../../support/web-socket/storm.ts";

const MESSAGES = 20_000;
/** Of 200 times the third worst is chance: the runtime collects its garbage once or twice in a storm, in 25 to 55 ms. */
const STORMS = 3;
const WEATHERS = [
  ["200 resets", "held", { resets: 200, takeovers: 0, seed: 1 }],
  ["100 take-overs", "held", { resets: 0, takeovers: 100, seed: 2 }],
  ["200 resets, asked by plain GETs", "held", { resets: 200, takeovers: 0, seed: 6, asks: true }],
  ["200 resets, with control frames", "held", { resets: 200, takeovers: 0, seed: 3, control: true }],
  ["100 take-overs, with control frames", "held", { resets: 0, takeovers: 100, seed: 4, control: true }],
  ["200 resets, stored", "stored", { resets: 200, takeovers: 0, seed: 5, control: true }],
] as const;

/** Sessions whose connection fails all the time: nothing is lost, coming back is fast, and nobody is let in who should not be. */
export async function run(): Promise<readonly Proof[]> {
  const relayed = await startRelayed({
    held: { mode: "held", ...ANY_RATE },
    stored: { held: { durable: true }, ...ANY_RATE },
    other: { mode: "held", ...ANY_RATE },
    short: { held: { hold: "500ms", ringMessages: 3 }, ...ANY_RATE },
  });
  try {
    const proofs: Proof[] = [];
    for (const [what, route, weather] of WEATHERS)
      proofs.push(...(await rows(what, () => weathered(relayed, what, route, weather))));
    return [...proofs, ...(await rows("who comes back and is refused", () => refusals(relayed)))];
  } finally {
    await relayed.stop();
  }
}

async function weathered(
  relayed: Relayed,
  what: string,
  route: string,
  weather: (typeof WEATHERS)[number][2],
): Promise<readonly Proof[]> {
  const wrong: string[] = [];
  const resumeMs: number[] = [];
  for (let n = 0; n < STORMS; n++) {
    const end = await storm(relayed, route, { messages: MESSAGES, ...weather, seed: weather.seed + 10 * n });
    const isWhole =
      sameSequence(end.toOrigin, numbered("c", MESSAGES)) && sameSequence(end.toClient, numbered("s", MESSAGES));
    if (!isWhole) wrong.push(`${end.toOrigin.length} and ${end.toClient.length} came; ${end.told.at(-1)}`);
    resumeMs.push(...end.resumeMs);
  }
  const whole = each(
    `${what} in ${MESSAGES} messages each way: storms with none lost, doubled or out of order`,
    STORMS,
    wrong,
  );
  // What a client that takes over waits for is its own handshake; nothing has been lost.
  return resumeMs.length === 0 ? [whole] : [whole, resumeTimes(what, resumeMs)];
}

async function refusals(relayed: Relayed): Promise<readonly Proof[]> {
  const { gateway, origin } = relayed;
  const sid = () => randomBytes(16).toString("base64url");
  const come = async (route: string, id: string, more: string): Promise<number> => {
    const made = await shakeHands(gateway.url, { path: `/${route}/held?_ws_session=${id}${more}` });
    return made.kind === "open" ? (await made.peer.behave().ended()).code : made.status;
  };
  const open = async (route: string) => {
    const id = sid();
    const [made, upstream] = await Promise.all([
      shakeHands(gateway.url, { path: `/${route}/held?mark=${id}.&_ws_session=${id}` }),
      origin.accept(`${id}.`),
    ]);
    if (made.kind !== "open") throw new Error(`a new session was answered ${made.status}`);
    return { id, client: made.peer, upstream };
  };
  const live = await open("held");
  const gone = await open("short");
  gone.client.reset();
  await gone.upstream.behave().ended();
  const full = await open("short");
  full.client.behave();
  // More than the ring has room for, and the client says that it has none of it.
  for (let n = 0; n < 5; n++) full.upstream.text(String(n));
  for (let n = 0; n < 5; n++) await full.client.next();
  const cases: readonly (readonly [what: string, wanted: number, got: () => Promise<number>])[] = [
    ["another's", 403, () => come("other", live.id, "&_ws_recv=0")],
    ["one that never was", 4410, () => come("held", sid(), "&_ws_recv=0")],
    ["one that was held for long enough", 4410, () => come("short", gone.id, "&_ws_recv=0")],
    ["one that has let go of what is missing", 4410, () => come("short", full.id, "&_ws_recv=1")],
    ["one with more than was sent", 4410, () => come("held", live.id, "&_ws_recv=5")],
    ["one that is in use, as a new one", 4409, () => come("held", live.id, "")],
    ["an id that can be guessed", 400, () => come("held", "short", "&_ws_recv=0")],
  ];
  const wrong: string[] = [];
  for (const [what, wanted, got] of cases) {
    const status = await got();
    if (status !== wanted) wrong.push(`${what}: ${status} for ${wanted}`);
  }
  live.client.text("unimpressed");
  const heard = await live.upstream.hear();
  if (heard.kind !== "text" || heard.text !== "unimpressed") wrong.push("the session itself goes on");
  for (const { client, upstream } of [live, full]) [client, upstream].forEach((peer) => peer.destroy());
  return [each("who comes back and is refused, by what (403, 4410, 4409, 400)", cases.length, wrong)];
}
