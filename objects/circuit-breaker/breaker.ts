import { isOutdated } from "../config-version.ts";
import { replyTo } from "./breaker-reply.ts";
import type { BreakerReply, BreakerReport } from "./breaker-messages.ts";
import { BREAKER_RULES, type BreakerRules } from "./breaker-rules.ts";
import { isSamePolicy } from "./breaker-policy.ts";
import { enter, onClock, open, probe, type BreakerState, type Circuit } from "./circuit.ts";
import { addOutcomes, emptyWindow, type OutcomeWindow } from "./outcome-window.ts";
import { ACTIVE_PACES, heardFrom, otherPeers, present, type Heard, type Peer } from "./peers.ts";
import { expireProbes, grant, settleProbes, type Moment } from "./probe-permits.ts";
import { learningLeftMs, tripCause } from "./trip-signal.ts";

/**
 * What helps an owner to judge and may be lost at any time. The next value is to replace it only when the state that
 * belongs to it is stored.
 */
export interface BreakerMemory {
  readonly startedAt: number;
  /** The epoch of the votes and the window. */
  readonly epoch: number;
  readonly peers: readonly Peer[];
  /** Outcomes by the time of their reports. */
  readonly window: OutcomeWindow;
  /** The most isolates that any of them was told there are, by the owner before. */
  readonly told: number;
}

/** A reply and what to store before it leaves: `state` is the one that was passed in when there is nothing to store. */
export interface BreakerOutcome {
  readonly state: BreakerState;
  readonly memory: BreakerMemory;
  readonly reply: BreakerReply;
}

/** What an owner that has just started remembers. */
export function newMemory(state: BreakerState, now: number): BreakerMemory {
  const window = emptyWindow(state.policy.windowMs);
  return { startedAt: now, epoch: state.epoch, peers: [], window, told: 0 };
}

/**
 * Answers an isolate's report: takes in what came of its calls and probes, opens when a quorum says so, and gives a permit
 * where one is asked for and free.
 *
 * The same message again within 10 s gets the same reply and changes nothing. Of one that comes after a later one of its
 * isolate only results of probes count, which count once in any case.
 */
export function hear(
  state: BreakerState,
  memory: BreakerMemory,
  report: BreakerReport,
  moment: Moment,
  rules: BreakerRules = BREAKER_RULES,
): BreakerOutcome {
  const { now } = moment;
  const known = memory.peers.find(({ isolate }) => isolate === report.isolate);
  if (known !== undefined && known.seq === report.seq && now - known.at < rules.rememberMs) {
    return { state, memory, reply: known.reply };
  }
  const isLate = known !== undefined && report.seq < known.seq;
  const ready = configured(recovered(onClock(state, now), report, now), report);
  const settled = settleProbes(expireProbes(ready, moment, rules), report.probes, moment, rules);
  const noted = note(ofEpoch(memory, settled), settled, { report, isLate, now }, rules);
  const judged = judge(settled, noted, moment, rules);
  const mayProbe = report.wantsPermit && !isLate;
  const granted = mayProbe ? grant(probe(judged, now), now, rules) : { state: judged, permit: undefined };
  const { state: next, permit } = granted;
  const { startedAt, epoch, window, told, isolates } = noted;
  const learningMs = learningLeftMs(startedAt, now, rules);
  const occasion = { permit, isVoter: report.isFailing, isolates, learningMs, isTold: told > 0 };
  const reply = replyTo(next, { ...occasion, ...moment }, rules);
  const last = isLate ? { seq: known.seq, reply: known.reply } : { seq: report.seq, reply };
  const peer: Peer = { ...noted.heard, ...last };
  return {
    state: next,
    memory: ofEpoch({ startedAt, epoch, window, told, peers: [...noted.peers, peer] }, next),
    reply,
  };
}

/** The memory with a report taken in, but for its reply. */
interface Noted extends BreakerMemory {
  readonly heard: Heard;
  readonly isolates: number;
}

function note(
  memory: BreakerMemory,
  { circuit, epoch, policy }: BreakerState,
  { report, isLate, now }: { readonly report: BreakerReport; readonly isLate: boolean; readonly now: number },
  rules: BreakerRules,
): Noted {
  const { isolate } = report;
  const known = memory.peers.find((peer) => peer.isolate === isolate);
  const peers = otherPeers(memory.peers, isolate, now, rules);
  const counts = !isLate && circuit.kind === "closed" && rules.acceptsEpoch(report.epoch, epoch);
  const heard = counts ? heardFrom(report, known, now) : { ...present(known ?? STRANGER), isolate, at: now };
  const window = memory.window.windowMs === policy.windowMs ? memory.window : emptyWindow(policy.windowMs);
  const { ok, failed, slow } = report;
  const told = Math.max(memory.told, report.isolates);
  // By then everyone who was there has been heard of.
  const isComplete = now - memory.startedAt > ACTIVE_PACES * rules.paceMs(told);
  return {
    ...memory,
    peers,
    heard,
    window: counts && ok + failed > 0 ? addOutcomes(window, { ok, failed, slow }, now) : window,
    told,
    isolates: Math.max(peers.length + 1, isComplete ? 0 : told),
  };
}

function judge(state: BreakerState, noted: Noted, { now, random }: Moment, rules: BreakerRules): BreakerState {
  if (state.circuit.kind !== "closed") return state;
  const { peers, heard, isolates, window, startedAt } = noted;
  const cause = tripCause({ peers: [...peers, heard], isolates, window, startedAt }, state.policy, now, rules);
  return cause === undefined ? state : open(state, cause, now, random);
}

const STRANGER: Heard = { isolate: "", at: 0, votedAt: -Infinity, failingAt: -Infinity, slowAt: -Infinity };

/** Nothing that was said in an earlier epoch says anything of this one. */
function ofEpoch(memory: BreakerMemory, { epoch, policy }: BreakerState): BreakerMemory {
  if (memory.epoch === epoch) return memory;
  return { ...memory, epoch, peers: memory.peers.map(present), window: emptyWindow(policy.windowMs) };
}

/** No breaker gets there by a transition a millisecond in thirty years; beyond it a number would soon be no epoch any more. */
const MAX_EPOCH = 2 ** 40;

/**
 * An isolate that knows a higher epoch knows that the record was lost: a lower one would be taken for an old reply. What an
 * operator has ordered since then holds.
 */
function recovered(state: BreakerState, { epoch }: BreakerReport, now: number): BreakerState {
  if (epoch <= state.epoch || epoch > MAX_EPOCH) return state;
  const { circuit } = state;
  const isForced = circuit.kind === "forced-open" || circuit.kind === "forced-closed";
  const next: Circuit = isForced ? circuit : { kind: "closed", since: now, openings: 0 };
  return enter({ ...state, epoch }, next, "state-lost", now);
}

/** Documents without versions have version 0 each time: another policy of the same version is a newer one as well. */
function configured(state: BreakerState, { configVersion, policy }: BreakerReport): BreakerState {
  if (isOutdated(configVersion, state.configVersion)) return state;
  const isKnown = configVersion === state.configVersion && isSamePolicy(policy, state.policy);
  return isKnown ? state : { ...state, configVersion, policy };
}
