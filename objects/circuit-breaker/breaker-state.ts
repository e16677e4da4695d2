import { isInteger } from "../numbers.ts";
import { parsePacked, unpackList } from "../packed.ts";
import { isCount } from "../numbers.ts";
import { packPolicy, unpackPolicy } from "./breaker-policy.ts";
import { HISTORY, isCircuitKind, type BreakerState, type Cause, type Circuit, type Transition } from "./circuit.ts";
import type { ProbePermit } from "./probe-permits.ts";

/** A breaker's state as one short text: about 150 characters, and 40 for each transition and permit. */
export function packBreaker(state: BreakerState): string {
  const { epoch, at, circuit, permits, lastPermit, history, configVersion, policy } = state;
  return JSON.stringify({
    e: epoch,
    t: at,
    c: packCircuit(circuit),
    p: permits.map(({ id, epoch: given, endsAt }) => [id, given, endsAt]),
    n: lastPermit,
    h: history.map((one) => [one.at, one.epoch, one.to, one.cause]),
    v: configVersion,
    y: packPolicy(policy),
  });
}

/**
 * What `packBreaker` packed, or undefined when the text is not a state that this code could have reached. Members and list
 * entries that it does not know are ignored, and so are transitions that only a later version has words for: an operator's order
 * must not be lost because a deployment is rolled back.
 */
export function unpackBreaker(text: string): BreakerState | undefined {
  const packed = parsePacked(text);
  if (typeof packed !== "object" || packed === null) return undefined;
  const { e: epoch, t: at, n: lastPermit, v: configVersion, ...rest }: Packed = packed;
  const circuit = unpackCircuit(rest.c);
  const permits = unpackList(rest.p, unpackPermit);
  const history = unpackList(rest.h, unpackTransition)?.filter((one) => one !== null);
  const policy = unpackPolicy(rest.y);
  if (circuit === undefined || permits === undefined || history === undefined || policy === undefined) return undefined;
  if (!isCount(epoch) || !isInteger(at) || !isCount(lastPermit) || !isInteger(configVersion)) return undefined;
  if (permits.some(({ id }) => id > lastPermit) || history.length > HISTORY) return undefined;
  return { epoch, at, circuit, permits, lastPermit, history, configVersion, policy };
}

/** The members of a packed state, as they may really be. */
interface Packed {
  readonly e?: unknown;
  readonly t?: unknown;
  readonly c?: unknown;
  readonly p?: unknown;
  readonly n?: unknown;
  readonly h?: unknown;
  readonly v?: unknown;
  readonly y?: unknown;
}

const CAUSES: readonly Cause[] = [
  "consecutive-failures",
  "failure-ratio",
  "slow-calls",
  "open-time-over",
  "probes-succeeded",
  "probes-failed",
  "operator",
  "reset",
  "state-lost",
];

function packCircuit(circuit: Circuit): readonly unknown[] {
  switch (circuit.kind) {
    case "closed":
      return [circuit.kind, circuit.since, circuit.openings];
    case "open":
      return [circuit.kind, circuit.since, circuit.openings, circuit.until];
    case "half-open": {
      const { kind, since, openings, successes, failures, lost, neutral } = circuit;
      return [kind, since, openings, successes, failures, lost, neutral];
    }
    case "forced-open":
    case "forced-closed":
      return [circuit.kind, circuit.since];
  }
}

function unpackCircuit(packed: unknown): Circuit | undefined {
  if (!Array.isArray(packed)) return undefined;
  const list: readonly unknown[] = packed;
  const [kind, since, openings, until, failures, lost, neutral] = list;
  if (!isCircuitKind(kind) || !isInteger(since)) return undefined;
  if (kind === "forced-open" || kind === "forced-closed") return { kind, since };
  if (!isCount(openings)) return undefined;
  if (kind === "closed") return { kind, since, openings };
  if (kind === "open") return isInteger(until) ? { kind, since, until, openings } : undefined;
  if (!isCount(until) || !isCount(failures) || !isCount(lost) || !isCount(neutral)) return undefined;
  return { kind, since, openings, successes: until, failures, lost, neutral };
}

function unpackPermit([id, epoch, endsAt]: readonly unknown[]): ProbePermit | undefined {
  return isCount(id) && isCount(epoch) && isInteger(endsAt) ? { id, epoch, endsAt } : undefined;
}

/** Null: it has names that are not ours. */
function unpackTransition([at, epoch, to, cause]: readonly unknown[]): Transition | null | undefined {
  if (!isInteger(at) || !isCount(epoch) || typeof to !== "string" || typeof cause !== "string") return undefined;
  return isCircuitKind(to) && isCause(cause) ? { at, epoch, to, cause } : null;
}

function isCause(value: unknown): value is Cause {
  return CAUSES.some((cause) => cause === value);
}
