import type { Backend, ConcurrencyPolicy, Priority, PriorityPolicy, Route } from "../../schemas/index.ts";
import type { NoTarget } from "./choice.ts";
import { begin, countInFlight } from "../balance/in-flight.ts";
import type { Exchange } from "../exchange.ts";
import { stayToTheEnd } from "../stay-to-the-end.ts";
import {
  enter,
  leave,
  newGate,
  noteCall,
  reconfigureGate,
  roomFor,
  type CallTime,
  type Gate,
  type Guest,
} from "../concurrency/gate.ts";

/** What stands before a backend, as the requests of one route meet it. */
export interface BackendGate {
  /** Lets a try begin, or says when to come back. Asked before a try and not while one waits. */
  enter(exchange: Exchange): GateVisit | NoTarget;
}

/** A try that was let through. Its place is its own until `leave`, or until `timeouts.total` is over, whichever comes first. */
export interface GateVisit {
  readonly kind: "visit";
  /** Notes what the try says of how busy the backend is: once, as soon as that is known. */
  note(time: CallTime): void;
  /** Gives its place back; again changes nothing. */
  leave(): void;
}

/** What an isolate knows of one backend, whatever configuration or route uses it. */
interface Known {
  readonly gate: Gate;
  admitted: number;
  readonly shed: Record<Priority, number>;
}

/** In `notes.shadowed`. */
const SHADOWED = "concurrency";

const known = new Map<string, Known>();

/** Forgets the gates of all other backends, so that an isolate holds no more than its configuration names. */
export function retainGates(backends: ReadonlyMap<string, Backend>): void {
  for (const name of known.keys()) if (backends.get(name)?.concurrency === undefined) known.delete(name);
}

/** Compiles what stands before a backend; undefined: any number may be in flight. */
export function compileGate(
  { priority }: Pick<Route, "priority">,
  { name, concurrency }: Pick<Backend, "name" | "concurrency">,
): BackendGate | undefined {
  if (concurrency === undefined) return undefined;
  return {
    enter(exchange) {
      const { notes } = exchange;
      const now = Date.now();
      const here = gateOf(name, concurrency, now);
      const { gate } = here;
      const asker = { priority: classOf(exchange, priority), leaseMs: exchange.deadline - now, random: Math.random() };
      const entry = enter(gate, asker, now);
      if (entry.kind === "pass") {
        here.admitted += 1;
        return visit(exchange, gate, entry.guest);
      }
      here.shed[asker.priority] += 1;
      notes.priority = asker.priority;
      if (!concurrency.shadow) return { kind: "none", why: "overloaded", retryAfterMs: entry.retryAfterMs };
      (notes.shadowed ??= []).push(SHADOWED);
      return visit(exchange, gate, { call: begin(gate.inFlight, asker.leaseMs, now), startedAt: now });
    },
  };
}

/** What the gates of this isolate have seen since they were first met. */
export interface GateReport {
  readonly backend: string;
  readonly limit: number;
  readonly inFlight: number;
  readonly admitted: number;
  readonly shed: Readonly<Record<Priority, number>>;
}

/** The gates that requests of this isolate have met. */
export function gateReports(now: number): readonly GateReport[] {
  return [...known].map(([backend, { gate, admitted, shed }]) => ({
    backend,
    limit: roomFor(gate, "critical", now),
    inFlight: countInFlight(gate.inFlight, now),
    admitted,
    shed: { ...shed },
  }));
}

function gateOf(name: string, policy: ConcurrencyPolicy, now: number): Known {
  const here = known.get(name);
  if (here === undefined) {
    const made = { gate: newGate(policy, now), admitted: 0, shed: { critical: 0, normal: 0, low: 0 } };
    known.set(name, made);
    return made;
  }
  if (here.gate.policy !== policy) reconfigureGate(here.gate, policy, now);
  return here;
}

/** The class of a request: what its client says, where the route takes its word, else the route's. */
export function classOf({ fields }: Exchange, policy: PriorityPolicy | undefined): Priority {
  if (policy === undefined) return "normal";
  const said = policy.header === undefined ? null : fields.endToEnd.get(policy.header);
  return said === "critical" || said === "normal" || said === "low" ? said : policy.standard;
}

function visit(exchange: Exchange, gate: Gate, guest: Guest): GateVisit {
  // Clients that give up are what overload is made of: each would keep its place to the end of its time.
  const letGo = stayToTheEnd(exchange);
  return {
    kind: "visit",
    note: (time) => noteCall(gate, guest, time, Date.now()),
    leave() {
      leave(gate, guest, { kind: "nothing" }, Date.now());
      letGo();
    },
  };
}
