/**
 * Who of an invocation, or of an object, waits for the head of an upstream's answer, and who waits for his turn to. Changed in place.
 *
 * The platform lets six connections of one wait for heads and holds up the seventh without a word, behind whichever six came first: with
 * six requests at an origin that is silent, all others would wait for it.
 */
export interface Slots {
  readonly rules: SlotRules;
  /** By upstream; those that were met first come first. */
  readonly lines: Map<string, Line>;
  held: number;
  order: number;
}

/** How many, and for how long. */
export interface SlotRules {
  /** Requests that wait for a head at once. Default 6. */
  readonly limit: number;
  /** The longest that one waits for its turn, in ms. Default 30 s. */
  readonly queueMs: number;
}

/** What the platform allows. */
export const SIX: SlotRules = { limit: 6, queueMs: 30_000 };

interface Line {
  readonly waiting: Ticket[];
  readonly tally: { -readonly [Name in keyof PoolTally]: PoolTally[Name] };
}

/** What became of the requests to one upstream. */
export interface PoolTally {
  /** Waiting for a head now. */
  readonly active: number;
  /** Waiting for their turn now. */
  readonly queued: number;
  /** That had their turn, at once or later. */
  readonly admitted: number;
  /** That had to wait for it, whatever came of that, and for how long in all, in ms. */
  readonly waited: number;
  readonly waitedMs: number;
  /** That waited too long. */
  readonly timedOut: number;
}

/** One request's place. */
export interface Ticket {
  readonly upstream: string;
  readonly order: number;
  readonly askedAt: number;
  state: "waiting" | "held" | "over";
}

/** More upstreams are not remembered once nobody waits for them: an object may meet any number in its life. */
const MOST_IDLE_LINES = 256;

/** Nobody waits. */
export function newSlots(rules: SlotRules): Slots {
  return { rules, lines: new Map(), held: 0, order: 0 };
}

/** Whether whoever asks for a slot gets one at once. */
export function hasRoom(slots: Slots, upstream: string): boolean {
  const { tally, waiting } = lineOf(slots, upstream);
  // Whoever waits there already is not let through, or he would have been.
  return waiting.length === 0 && mayHold(slots, tally.active);
}

/** Takes a slot, or a place in the upstream's line: the ticket's state says which. */
export function ask(slots: Slots, upstream: string, now: number): Ticket {
  const { tally, waiting } = lineOf(slots, upstream);
  slots.order += 1;
  const ticket: Ticket = { upstream, order: slots.order, askedAt: now, state: "waiting" };
  if (hasRoom(slots, upstream)) hold(slots, ticket);
  else {
    waiting.push(ticket);
    tally.queued += 1;
    tally.waited += 1;
  }
  return ticket;
}

/** Gives back a slot or a place in line; again changes nothing. */
export function giveBack(slots: Slots, ticket: Ticket, why: "done" | "timed-out", now: number): void {
  const { state } = ticket;
  const line = slots.lines.get(ticket.upstream);
  if (state === "over" || line === undefined) return;
  const { tally, waiting } = line;
  ticket.state = "over";
  if (state === "held") {
    slots.held -= 1;
    tally.active -= 1;
    return;
  }
  waiting.splice(waiting.indexOf(ticket), 1);
  tally.queued -= 1;
  tally.waitedMs += Math.max(0, now - ticket.askedAt);
  if (why === "timed-out") tally.timedOut += 1;
}

/**
 * Lets the next one through; undefined: nobody may. To be asked until then whenever a slot has come back.
 *
 * The upstream with the fewest slots comes first, so that they share evenly; of equals whoever has waited longest.
 */
export function letThrough(slots: Slots, now: number): Ticket | undefined {
  let next: Ticket | undefined;
  let fewest = Infinity;
  for (const { tally, waiting } of slots.lines.values()) {
    const [first] = waiting;
    if (first === undefined || !mayHold(slots, tally.active) || tally.active > fewest) continue;
    if (next !== undefined && tally.active === fewest && first.order > next.order) continue;
    next = first;
    fewest = tally.active;
  }
  if (next === undefined) return undefined;
  const { tally, waiting } = lineOf(slots, next.upstream);
  waiting.shift();
  tally.queued -= 1;
  tally.waitedMs += Math.max(0, now - next.askedAt);
  hold(slots, next);
  return next;
}

/** The last free slot is for an upstream that has none: one that is silent may keep all others of its own waiting, and nobody else's. */
function mayHold({ rules, held }: Slots, active: number): boolean {
  return active === 0 ? held < rules.limit : held < rules.limit - 1;
}

function hold(slots: Slots, ticket: Ticket): void {
  const { tally } = lineOf(slots, ticket.upstream);
  ticket.state = "held";
  slots.held += 1;
  tally.active += 1;
  tally.admitted += 1;
}

function lineOf({ lines }: Slots, upstream: string): Line {
  const known = lines.get(upstream);
  if (known !== undefined) return known;
  if (lines.size >= MOST_IDLE_LINES) forgetIdle(lines);
  const line = {
    waiting: [],
    tally: { active: 0, queued: 0, admitted: 0, waited: 0, waitedMs: 0, timedOut: 0 },
  };
  lines.set(upstream, line);
  return line;
}

function forgetIdle(lines: Slots["lines"]): void {
  for (const [upstream, { tally }] of lines) if (tally.active + tally.queued === 0) return void lines.delete(upstream);
}
