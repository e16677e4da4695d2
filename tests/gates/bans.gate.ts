import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureBans } from "../simulation/bans/measure-bans.ts";
import { BanFleet, THRESHOLD } from "../support/ban-fleet.ts";
import { Origin } from "../support/origin/origin.ts";
import type { Proof } from "../support/proof.ts";

const RUNS = 1_000;
const ISOLATES = 4;
const ABUSERS = 10;
const PATIENT = 10;
const LOOK_MS = 10;
const GIVE_UP_MS = 10_000;
/** A second, and a round trip to an owner, for which a request would wait 150 ms. */
const DETECTION_MS = 1_150;
const UNBAN_MS = 2_000;

/** Abuse is shut out in time, fleet-wide and through kill -9; nobody is for nothing. */
export async function run(): Promise<Proof[]> {
  return [...measureBans(RUNS), ...(await real())];
}

async function real(): Promise<Proof[]> {
  const state = mkdtempSync(join(tmpdir(), "sluice-state-"));
  const origin = await Origin.start();
  let fleet = await BanFleet.start(origin.url, { isolates: ISOLATES, state });
  try {
    await fleet.send("warm-up", 8 * ISOLATES);
    const patient = names("patient", PATIENT);
    for (const client of patient) await fleet.send(client, THRESHOLD - 5);
    const abusers = names("abuser", ABUSERS);
    const detections: number[] = [];
    for (const client of abusers) detections.push(await detection(fleet, client));
    const [first = ""] = abusers;
    const unbanMs = await unban(fleet, first);
    const bannedForNothing = await countBanned(fleet, patient);
    const last = "abuser in the end";
    await detection(fleet, last);
    await fleet.gateway.kill();
    fleet = await fleet.again({ isolates: ISOLATES, state });
    const survivors = [...abusers.slice(1), last];
    const survived = await countBanned(fleet, survivors);
    const list = await listedWhen(fleet, survivors.length);
    const worst = Math.round(Math.max(...detections));
    return [
      {
        promise: `time to detection, ${ISOLATES} isolates, real sockets`,
        bound: `<= ${DETECTION_MS} ms`,
        figure: `${detections.map(Math.round).join(", ")} ms`,
        pass: worst <= DETECTION_MS,
      },
      {
        promise: `clients at ${THRESHOLD - 5} of ${THRESHOLD} attempts that were banned`,
        bound: "0",
        figure: `${bannedForNothing} of ${PATIENT}`,
        pass: bannedForNothing === 0,
      },
      {
        promise: "time until an unban acts on every isolate",
        bound: `<= ${UNBAN_MS} ms`,
        figure: `${Math.round(unbanMs)} ms`,
        pass: unbanMs <= UNBAN_MS,
      },
      {
        promise: "bans that survived kill -9, and are listed",
        bound: `${survivors.length} of ${survivors.length}`,
        figure: `${survived}, listed ${list}`,
        pass: survived === survivors.length && list === survivors.length,
      },
    ];
  } finally {
    await fleet.gateway.stop();
    await origin.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

function names(kind: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${kind} ${index}`);
}

/** From the answer to the attempt that bans to the first refusal for it, in ms. */
async function detection(fleet: BanFleet, client: string): Promise<number> {
  const met = await fleet.send(client, THRESHOLD);
  const since = performance.now();
  if (met["abnormal-usage-detected"] !== undefined) return 0;
  return until(since, async () => (await isBanned(fleet, client)) > 0);
}

/** From the answer to the order until every isolate lets the client be limited as before, in ms. */
async function unban(fleet: BanFleet, client: string): Promise<number> {
  await until(performance.now(), async () => (await isBanned(fleet, client)) === ISOLATES);
  const id = await fleet.findId(client);
  const since = performance.now();
  await fleet.admin("POST", `/clients/${id}/unban`);
  return until(since, async () => (await isBanned(fleet, client)) === 0);
}

/** On how many isolates the client is banned now. */
async function isBanned(fleet: BanFleet, client: string): Promise<number> {
  const isolates = Array.from({ length: ISOLATES }, (_, isolate) => isolate);
  const answers = await Promise.all(isolates.map((isolate) => fleet.ask(client, isolate)));
  return answers.filter(({ code }) => code === "abnormal-usage-detected").length;
}

async function countBanned(fleet: BanFleet, clients: readonly string[]): Promise<number> {
  let banned = 0;
  for (const client of clients) if ((await isBanned(fleet, client)) > 0) banned += 1;
  return banned;
}

/** How many bans the index lists, once it lists as many as wanted or time is up. */
async function listedWhen(fleet: BanFleet, wanted: number): Promise<number> {
  let listed = 0;
  await until(performance.now(), async () => {
    listed = Number((await fleet.admin("GET", "/bans")).body["listed"]);
    return listed === wanted;
  });
  return listed;
}

/** How long after `since` it came true, in ms; Infinity: not in time. */
async function until(since: number, isTrue: () => Promise<boolean>): Promise<number> {
  while (performance.now() - since < GIVE_UP_MS) {
    if (await isTrue()) return performance.now() - since;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return Infinity;
}
