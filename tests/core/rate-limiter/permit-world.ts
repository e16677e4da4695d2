import fc from "fast-check";
import { expect } from "vitest";
import type { PermitLease } from "../../../objects/rate-limiter/permits/permit-lease.ts";
import {
  ask,
  end,
  giveUp,
  heard,
  newLease,
  overdue,
  proceed,
  start,
} from "../../../objects/rate-limiter/permits/permit-lease.ts";
import type { PermitAsk, PermitLimit, PermitReply, Permits } from "../../../objects/rate-limiter/permits/permits.ts";
import { advance, answer, freePermits, inUse } from "../../../objects/rate-limiter/permits/permits.ts";
import { START } from "./arbitraries.ts";

export const LIMIT: PermitLimit = { permits: 6, leaseMs: 2_000, operationTimeoutMs: 3_000 };

/** A borrower's clock may run this much too fast or too slow: 50 ms over the 5 s of a lease and an operation. */
const DRIFTS = [0.99, 1, 1.01];

interface Borrower {
  lease: PermitLease;
  readonly drift: number;
  readonly offset: number;
}

type Message =
  | { readonly to: "owner"; readonly from: Borrower; readonly ask: PermitAsk }
  | { readonly to: "borrower"; readonly borrower: Borrower; readonly reply: PermitReply };

/** An owner, three borrowers and a network that delivers late, twice, out of order or never. */
export interface World {
  now: number;
  ownerOffset: number;
  permits: Permits;
  borrowers: Borrower[];
  network: Message[];
  /** When the operations of dead borrowers end: as late as those of live ones might. */
  orphans: number[];
  made: number;
  /** What has happened, to show that the run had something to decide. */
  readonly seen: { most: number; refused: number; proceeded: number };
}

export function newWorld(): World {
  const world: World = {
    now: START,
    ownerOffset: 0,
    permits: freePermits(START),
    borrowers: [],
    network: [],
    orphans: [],
    made: 0,
    seen: { most: 0, refused: 0, proceeded: 0 },
  };
  for (let index = 0; index < 3; index += 1) world.borrowers.push(newBorrower(world));
  return world;
}

export function inFlight(world: World): number {
  return world.borrowers.reduce((sum, { lease }) => sum + lease.operations.length, world.orphans.length);
}

class Step implements fc.Command<object, World> {
  readonly #title: string;
  readonly #act: (world: World) => void;

  constructor(title: string, act: (world: World) => void) {
    this.#title = title;
    this.#act = act;
  }

  check(): boolean {
    return true;
  }

  run(_model: object, world: World): void {
    this.#act(world);
    // What is stored is all that there is: the owner may restart after any step.
    world.permits = JSON.parse(JSON.stringify(world.permits));
    const flying = inFlight(world);
    world.seen.most = Math.max(world.seen.most, flying);
    expect(flying).toBeLessThanOrEqual(LIMIT.permits);
    expect(inUse(world.permits.leases)).toBeLessThanOrEqual(LIMIT.permits);
    for (const { lease } of world.borrowers) {
      const grant = world.permits.leases.find(({ id }) => id === lease.id);
      expect(lease.operations.length).toBeLessThanOrEqual(grant?.permits ?? 0);
    }
  }

  toString(): string {
    return this.#title;
  }
}

const anyIndex = fc.nat({ max: 20 });
/** Ends of leases and operations, and about them, among short waits. */
const anyWait = fc.oneof(
  fc.nat({ max: 300 }),
  fc.constantFrom(1_979, 1_999, 2_000, 2_021, 2_999, 3_000, 3_031, 4_949, 5_000, 5_049, 5_099, 5_100, 5_101, 9_000),
);

/** What may happen, in any order. */
export const anySteps = [
  fc.tuple(anyIndex, fc.nat({ max: 8 }), fc.nat({ max: 7 })).map(([index, keep, want]) => {
    return new Step(`ask(${index}, keep ${keep}, want ${want})`, (world) => sendAsk(world, index, keep, want));
  }),
  fc.tuple(anyIndex, fc.boolean()).map(([index, again]) => {
    return new Step(`deliver(${index}${again ? ", and keep a copy" : ""})`, (world) => deliver(world, index, again));
  }),
  fc.constant(null).map(() => new Step("deliverAll()", (world) => deliverAll(world))),
  anyIndex.map((index) => new Step(`lose(${index})`, (world) => lose(world, index))),
  fc.tuple(anyIndex, fc.integer({ min: 1, max: 6 })).map(([index, count]) => {
    return new Step(`start(${index}, ${count})`, (world) => startSome(world, index, count));
  }),
  fc.tuple(anyIndex, anyIndex).map(([index, which]) => {
    return new Step(`endTwice(${index}, ${which})`, (world) => endTwice(world, index, which));
  }),
  anyIndex.map((which) => new Step(`proceedOne(${which})`, (world) => proceedOne(world, which))),
  anyIndex.map((index) => new Step(`kill(${index})`, (world) => kill(world, index))),
  anyIndex.map((index) => new Step(`giveUp(${index})`, (world) => change(world, index, giveUp))),
  anyWait.map((ms) => new Step(`wait(${ms})`, (world) => wait(world, ms))),
  fc.integer({ min: 1, max: 20_000 }).map((ms) => {
    return new Step(`ownerClockBack(${ms})`, (world) => {
      world.ownerOffset -= ms;
      world.permits = advance(world.permits, world.now + world.ownerOffset);
    });
  }),
];

function newBorrower(world: World): Borrower {
  world.made += 1;
  const drift = DRIFTS[world.made % DRIFTS.length] ?? 1;
  return { lease: newLease(`borrower ${world.made}`), drift, offset: world.made * 1_234 };
}

function clockOf(world: World, { drift, offset }: Borrower): number {
  return START + Math.floor((world.now - START) * drift) + offset;
}

export function sendAsk(world: World, index: number, keep: number, want: number): void {
  const borrower = pick(world.borrowers, index);
  if (borrower === undefined) return;
  const asked = ask(borrower.lease, keep, want, clockOf(world, borrower));
  borrower.lease = asked.lease;
  world.network.push({ to: "owner", from: borrower, ask: asked.message });
}

function deliver(world: World, index: number, again: boolean): void {
  const message = pick(world.network, index);
  if (message === undefined) return;
  if (!again) world.network = world.network.filter((other) => other !== message);
  if (message.to === "borrower") {
    message.borrower.lease = heard(message.borrower.lease, message.reply);
    return;
  }
  const outcome = answer(world.permits, LIMIT, message.ask, world.now + world.ownerOffset);
  world.permits = outcome.permits;
  if (outcome.reply === undefined) return;
  if (outcome.reply.retryAfterMs > 0) world.seen.refused += 1;
  world.network.push({ to: "borrower", borrower: message.from, reply: outcome.reply });
}

export function deliverAll(world: World): void {
  while (world.network.length > 0) deliver(world, 0, false);
}

function lose(world: World, index: number): void {
  const message = pick(world.network, index);
  world.network = world.network.filter((other) => other !== message);
}

export function startSome(world: World, index: number, count: number): void {
  const borrower = pick(world.borrowers, index);
  if (borrower === undefined) return;
  for (let one = 0; one < count; one += 1) borrower.lease = start(borrower.lease, clockOf(world, borrower)).lease;
}

function endTwice(world: World, index: number, which: number): void {
  const borrower = pick(world.borrowers, index);
  const operation = pick(borrower?.lease.operations ?? [], which);
  if (borrower === undefined || operation === undefined) return;
  borrower.lease = end(end(borrower.lease, operation.number), operation.number);
}

function proceedOne(world: World, which: number): void {
  const flying = world.borrowers.flatMap((borrower) =>
    borrower.lease.operations.map(({ number }) => ({ borrower, number })),
  );
  const { borrower, number } = pick(flying, which) ?? {};
  if (borrower === undefined || number === undefined) return;
  const lease = proceed(borrower.lease, number, clockOf(world, borrower));
  if (lease === undefined) return;
  borrower.lease = lease;
  world.seen.proceeded += 1;
}

function kill(world: World, index: number): void {
  const borrower = pick(world.borrowers, index);
  if (borrower === undefined) return;
  for (const { startedAt } of borrower.lease.operations) {
    const age = (clockOf(world, borrower) - startedAt) / borrower.drift;
    world.orphans.push(Math.floor(world.now - age + LIMIT.operationTimeoutMs));
  }
  world.borrowers = world.borrowers.map((other) => (other === borrower ? newBorrower(world) : other));
}

function change(world: World, index: number, how: (lease: PermitLease) => PermitLease): void {
  const borrower = pick(world.borrowers, index);
  if (borrower !== undefined) borrower.lease = how(borrower.lease);
}

export function wait(world: World, ms: number): void {
  world.now += ms;
  world.orphans = world.orphans.filter((until) => until > world.now);
  for (const borrower of world.borrowers) {
    for (const { number } of overdue(borrower.lease, LIMIT.operationTimeoutMs, clockOf(world, borrower))) {
      borrower.lease = end(borrower.lease, number);
    }
  }
}

function pick<Item>(items: readonly Item[], index: number): Item | undefined {
  return items[index % Math.max(1, items.length)];
}
