import type { AbortPolicy } from "../../../objects/rollout/abort-policy.ts";
import { NEW_RELEASE, type ReleaseEvent, type ReleaseState } from "../../../objects/rollout/release.ts";
import { packRelease, unpackRelease } from "../../../objects/rollout/release-packed.ts";
import { hearRollout, newRolloutMemory } from "../../../objects/rollout/hear-rollout.ts";
import type { RolloutTerms } from "../../../objects/rollout/rollout-messages.ts";
import {
  beginTrial,
  dueRollout,
  endTrial,
  newRolloutView,
  rolloutFailed,
  rolloutHeard,
  type TrialEnd,
} from "../../../objects/rollout/rollout-view.ts";
import { CELLS } from "../../../objects/rollout/variant-counts.ts";
import { compileRelease } from "../../../worker/canary/choose-variant.ts";
import { DEFAULT_ABORT } from "../../../schemas/policies/canary.ts";
import { createRandom, type Random } from "../../simulation/random.ts";

/** What is run: four isolates before one owner, on a clock of their own. */
export interface Scenario {
  readonly seed: number;
  readonly percent: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly policy?: AbortPolicy;
  /** How a request ends. */
  readonly end: (variant: "control" | "canary", at: number, random: Random, client: number) => TrialEnd;
  /** Clients; default a new one for each request. */
  readonly clients?: number;
  /** The part of the messages, and as many of the replies, that are lost; default none. */
  readonly lost?: number;
  /** The owner begins anew from what it packed, every so many ms; default never. */
  readonly restartMs?: number;
}

/** What came of it. */
export interface Run {
  readonly state: ReleaseState;
  readonly abort: ReleaseEvent | undefined;
  /** Requests that the canary got after every isolate had been told. */
  readonly afterwards: number;
  /** Of all requests, by what they got. */
  readonly requests: readonly number[];
  readonly messages: number;
}

const ISOLATES = 4;
const STEP_MS = 100;
/** A message and its reply. */
const WAY_MS = 30;

const TERMS = { configVersion: 7, release: "checkout-2", variants: ["control", "canary"] } as const;

/** Runs a scenario by the same code that ships, its randomness from a seed. */
export function runRollout(scenario: Scenario): Run {
  const { seed, percent, perSecond, seconds, policy = DEFAULT_ABORT, clients, lost = 0, restartMs } = scenario;
  const random = createRandom(seed);
  const terms: RolloutTerms = { ...TERMS, policy };
  const release = compileRelease({ name: `release-${seed}`, variants: [{ name: "canary", percent }] });
  const views = Array.from({ length: ISOLATES }, (_, index) =>
    newRolloutView({ isolate: `isolate-${index}`, seq: 0 }, terms),
  );
  let state = NEW_RELEASE;
  let memory = newRolloutMemory(0);
  const later: { readonly at: number; readonly run: (now: number) => void }[] = [];
  const requests = [0, 0];
  let afterwards = 0;
  let messages = 0;
  for (let now = 0; now < seconds * 1_000; now += STEP_MS) {
    if (restartMs !== undefined && now > 0 && now % restartMs === 0) {
      state = unpackRelease(packRelease(state)) ?? NEW_RELEASE;
      memory = newRolloutMemory(now);
    }
    for (const { run } of later.splice(0)) run(now);
    const arrivals = Math.floor(perSecond * (STEP_MS / 1_000) + random.next());
    for (let arrival = 0; arrival < arrivals; arrival++) {
      const view = random.pick([views[0], ...views.slice(1)]);
      if (view === undefined) continue;
      const client = clients === undefined ? random.next() : random.integer(1, clients);
      const choice = release.choose(String(client), null, view);
      requests[choice.index] = (requests[choice.index] ?? 0) + 1;
      if (choice.index === 1 && views.every(({ aborted }) => aborted.length > 0)) afterwards += 1;
      const trial = beginTrial(view, choice.counts ? choice.index : undefined, release.cellOf(String(client), CELLS));
      if (trial !== undefined)
        endTrial(view, trial, scenario.end(choice.index === 1 ? "canary" : "control", now, random, client));
    }
    for (const view of views) {
      const report = dueRollout(view, now);
      if (report === undefined) continue;
      messages += 1;
      if (random.next() < lost) {
        later.push({ at: now, run: (at) => rolloutFailed(view, report.seq, at) });
        continue;
      }
      const heard = hearRollout(state, memory, report, { now: now + WAY_MS, random: random.next() });
      state = heard.state;
      const isReplyLost = random.next() < lost;
      const run = (at: number) =>
        isReplyLost ? rolloutFailed(view, report.seq, at) : rolloutHeard(view, report.seq, heard.reply, at);
      later.push({ at: now, run });
    }
  }
  const abort = state.history.find(({ kind }) => kind === "aborted");
  return { state, abort, afterwards, requests, messages };
}
