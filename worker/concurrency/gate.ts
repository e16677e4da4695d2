import type { ConcurrencyPolicy, Priority } from "../../schemas/index.ts";
import { begin, countInFlight, finish, noneInFlight, type CountedCall, type InFlight } from "../balance/in-flight.ts";
import {
  heldTo,
  limitOf,
  newGradientLimit,
  noteRefusal,
  noteStart,
  noteTime,
  type GradientLimit,
} from "./gradient-limit.ts";
import { roomOf, roomWhileHeld } from "./priority.ts";

/** How many requests one isolate may have in flight to one backend. */
export type GatePolicy = Pick<ConcurrencyPolicy, "limit" | "shares">;

/** What stands before a backend in one isolate; for the life of the isolate, whatever the configuration. Changed in place. */
export interface Gate {
  /** Changed by `reconfigureGate` alone, as is which kind of limit there is. */
  policy: GatePolicy;
  readonly inFlight: InFlight;
  /** undefined: the limit is fixed. */
  gradient: GradientLimit | undefined;
  /** Since when requests are shed without a pause, and when one was last. */
  shedSince: number;
  shedAt: number;
}

/** Who wants to begin. */
export interface Asker {
  readonly priority: Priority;
  /** The longest that its request may last: after that it counts no more, whether or not its end is heard of. */
  readonly leaseMs: number;
  /** In [0, 1), so that not all come back at once. */
  readonly random: number;
}

/** A request that was let through; to be handed to `leave` on every way out. */
export interface Guest {
  readonly call: CountedCall;
  readonly startedAt: number;
}

/** Nobody waits: there is room or there is none. */
export type Entry =
  | { readonly kind: "pass"; readonly guest: Guest }
  | { readonly kind: "shed"; readonly retryAfterMs: number };

/** What a shed client is told to wait at least, and at most. */
const RETRY_MS = { least: 1_000, most: 10_000 };
/** Nobody was shed for so long: the next time is a new one. */
const PAUSE_MS = 5_000;

/** A gate that nobody has passed. */
export function newGate(policy: GatePolicy, now: number): Gate {
  const { limit } = policy;
  const gradient = limit.kind === "adaptive" ? newGradientLimit(limit, now) : undefined;
  return { policy, inFlight: noneInFlight(), gradient, shedSince: -Infinity, shedAt: -Infinity };
}

/** Goes by another policy from now on; who is inside stays, and what is known of the backend. */
export function reconfigureGate(gate: Gate, policy: GatePolicy, now: number): void {
  const { limit } = policy;
  gate.policy = policy;
  if (limit.kind === "fixed") gate.gradient = undefined;
  else if (gate.gradient === undefined) gate.gradient = newGradientLimit(limit, now);
  else gate.gradient.policy = limit;
}

/** Lets a request begin, or sheds it. */
export function enter(gate: Gate, { priority, leaseMs, random }: Asker, now: number): Entry {
  const { inFlight, gradient } = gate;
  const inside = countInFlight(inFlight, now);
  if (inside >= roomFor(gate, priority, now)) return shed(gate, random, now);
  if (gradient !== undefined) noteStart(gradient, inside + 1);
  return { kind: "pass", guest: { call: begin(inFlight, leaseMs, now), startedAt: now } };
}

/** What a request says of how busy its backend is. */
export type CallTime =
  | { readonly kind: "head"; readonly tookMs: number }
  /** No head came in its time. */
  | { readonly kind: "given-up" }
  /** It failed fast, its client left, or nothing is known. */
  | { readonly kind: "nothing" };

/** Notes what a request says of its backend, of one that stays: its answer's body may take its time. Then it leaves with nothing. */
export function noteCall({ gradient }: Gate, { startedAt }: Guest, time: CallTime, now: number): void {
  if (gradient === undefined || time.kind === "nothing") return;
  noteTime(gradient, startedAt, time.kind === "head" ? time.tookMs : Infinity, now);
}

/** Notes that a request's answer is over, or that it ended in any other way; again changes nothing. */
export function leave(gate: Gate, guest: Guest, time: CallTime, now: number): void {
  if (guest.call.isOver) return;
  finish(gate.inFlight, guest.call);
  noteCall(gate, guest, time, now);
}

/** How many requests may be in flight, of all classes, for one of this class to begin. */
export function roomFor({ policy: { limit, shares }, gradient }: Gate, priority: Priority, now: number): number {
  if (gradient === undefined) return roomOf(priority, limit.kind === "fixed" ? limit.limit : limit.initial, shares);
  const held = heldTo(gradient, now);
  if (held === undefined) return roomOf(priority, limitOf(gradient), shares);
  return roomWhileHeld(priority, held, limitOf(gradient), shares);
}

/** The longer it lasts, the later clients are to come back. */
function shed(gate: Gate, random: number, now: number): Entry {
  if (Math.abs(now - gate.shedAt) > PAUSE_MS) gate.shedSince = now;
  gate.shedAt = now;
  if (gate.gradient !== undefined) noteRefusal(gate.gradient, now);
  const waitMs = Math.min(RETRY_MS.most, Math.max(RETRY_MS.least, now - gate.shedSince));
  return { kind: "shed", retryAfterMs: Math.ceil(waitMs * (1 + random / 2)) };
}
