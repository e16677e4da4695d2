import {
  isSpendable,
  newBorrower,
  type Borrower,
  type BorrowedLimit,
  type Sender,
} from "../../objects/rate-limiter/leases/borrower.ts";
import { answer, arrive, close, closeAt, failed, giveUp } from "../../objects/rate-limiter/leases/lease.ts";
import type { LeaseMessage, LeaseReply } from "../../objects/rate-limiter/leases/lease-messages.ts";
import { atRoot, noteShards, shardFor } from "../../objects/rate-limiter/shards/shard-choice.ts";
import type { Random } from "./random.ts";
import type { Scenario } from "./scenario.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** How long a request waits for the owner, as in production. */
const DEADLINE_MS = 150;

/** What an isolate can do to the world around it. */
export interface Surroundings {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly scenario: Scenario;
  /** Sends a message to the owner or one of its shards; the reply (undefined: it failed) may come late or never. */
  send(message: LeaseMessage, shard: number | undefined, onReply: (reply: LeaseReply | undefined) => void): void;
  /** Tokens of a policy that this isolate spent without asking, at this instant. */
  spentHere(policy: string, tokens: number): void;
}

/** What became of the requests of all isolates. */
export interface Tally {
  requests: number;
  /** Tokens of requests that were let through, in time. */
  served: number;
  refusedHere: number;
  refusedByOwner: number;
  /** Requests that met no answer of the owner in time, or its error. */
  unanswered: number;
  /** Requests that waited for a call, their own or another's. */
  waited: number;
  refusedAfterWaiting: number;
}

/** A Worker isolate: one borrower for the client, a clock of its own. */
export class IsolateHost {
  #borrower: Borrower;
  readonly #surroundings: Surroundings;
  readonly #tally: Tally;
  readonly #sender: Sender;
  readonly #drift: number;
  readonly #offset: number;
  /** Whom the lease is from, if there is one; undefined: the owner itself. */
  #shard: number | undefined;
  readonly #choice = atRoot();
  #isDead = false;
  #hasTimer = false;

  constructor(
    name: string,
    limits: readonly BorrowedLimit[],
    version: number,
    tally: Tally,
    surroundings: Surroundings,
  ) {
    const { random, scenario } = surroundings;
    this.#surroundings = surroundings;
    this.#tally = tally;
    this.#sender = { isolate: name, seq: 0 };
    this.#borrower = newBorrower("client", version, limits, this.#sender);
    this.#drift = 1 + (random.between(-1, 1) * scenario.clocks.driftPpm) / 1_000_000;
    this.#offset = random.between(0, 1_000_000_000_000);
  }

  /** Tokens of a policy that this isolate may spend at this instant. */
  spendable(policy: string): number {
    if (this.#isDead || !isSpendable(this.#borrower, this.#now())) return 0;
    return this.#borrower.holdings.find(({ limit }) => limit.policy === policy)?.tokens ?? 0;
  }

  /** A request arrives. */
  request(cost: number): void {
    this.#tally.requests += 1;
    this.#decide(
      this.#borrower.holdings.map(() => cost),
      cost,
      0,
    );
  }

  /** A new configuration: what was borrowed under the old one goes back. */
  configure(limits: readonly BorrowedLimit[], version: number): void {
    const returned = giveUp(this.#borrower, this.#now(), this.#surroundings.scenario.rules);
    if (returned !== undefined) this.#send(returned, () => {});
    this.#borrower = newBorrower("client", version, limits, this.#sender);
  }

  /** The isolate is gone with all it held. */
  die(): void {
    this.#isDead = true;
  }

  #decide(costs: readonly number[], cost: number, waitedMs: number): void {
    if (this.#isDead) return;
    const { clock, scenario } = this.#surroundings;
    this.#move();
    const held = this.#borrower.holdings.map(({ tokens }) => tokens);
    const arrival = arrive(this.#borrower, costs, this.#now(), waitedMs, scenario.rules);
    switch (arrival.kind) {
      case "admitted":
        for (const [index, { limit, tokens }] of this.#borrower.holdings.entries()) {
          this.#surroundings.spentHere(limit.policy, (held[index] ?? 0) - tokens);
        }
        this.#tally.served += cost;
        if (arrival.renewal !== undefined) this.#call(arrival.renewal, () => {});
        this.#watchIdle();
        return;
      case "refused":
        this.#tally.refusedHere += 1;
        if (waitedMs > 0) this.#tally.refusedAfterWaiting += 1;
        return;
      case "wait":
        if (waitedMs === 0) this.#tally.waited += 1;
        clock.after(arrival.pollMs, () => this.#decide(costs, cost, waitedMs + arrival.pollMs));
        return;
      case "ask":
        if (waitedMs === 0) this.#tally.waited += 1;
        this.#ask(arrival.message, cost);
    }
  }

  #ask(message: LeaseMessage, cost: number): void {
    const { clock } = this.#surroundings;
    let isOver = false;
    const end = (reply: LeaseReply | undefined) => {
      if (isOver) return;
      isOver = true;
      if (reply === undefined) this.#tally.unanswered += 1;
      if (reply?.allowed === false) this.#tally.refusedByOwner += 1;
      if (reply?.allowed === true) this.#tally.served += cost;
    };
    this.#call(message, end);
    clock.after(DEADLINE_MS, () => end(undefined));
  }

  #call(message: LeaseMessage, onEnd: (reply: LeaseReply | undefined) => void): void {
    const borrower = this.#borrower;
    this.#send(message, (reply) => {
      if (this.#isDead) return;
      if (reply !== undefined) noteShards(this.#choice, reply, this.#now());
      if (reply === undefined) failed(borrower, message.seq, this.#now());
      if (reply !== undefined) answer(borrower, message.seq, reply, this.#now(), this.#surroundings.scenario.rules);
      this.#watchIdle();
      onEnd(reply);
    });
  }

  #watchIdle(): void {
    const dueAt = closeAt(this.#borrower);
    if (dueAt === undefined || this.#hasTimer) return;
    this.#hasTimer = true;
    this.#surroundings.clock.after(Math.max(1, dueAt - this.#now()), () => {
      this.#hasTimer = false;
      if (this.#isDead) return;
      const returned = close(this.#borrower, this.#now(), this.#surroundings.scenario.rules);
      if (returned !== undefined) this.#send(returned, () => {});
      if (returned === undefined) this.#watchIdle();
    });
  }

  /** Turns to the owner or to the shard that it was told of, after it has returned what it has of another. */
  #move(): void {
    const shard = shardFor(this.#choice, this.#sender.isolate, this.#now());
    if (shard === this.#shard) return;
    const returned = giveUp(this.#borrower, this.#now(), this.#surroundings.scenario.rules);
    if (returned !== undefined) this.#send(returned, () => {});
    failed(this.#borrower, this.#borrower.awaited, this.#now());
    this.#shard = shard;
  }

  #send(message: LeaseMessage, onReply: (reply: LeaseReply | undefined) => void): void {
    const shardOf = { root: "root", count: this.#choice.count };
    this.#surroundings.send(this.#shard === undefined ? message : { ...message, shardOf }, this.#shard, onReply);
  }

  /** What this isolate's clock says: its own speed and origin, and the time of the last input at worst. */
  #now(): number {
    const { clock, random, scenario } = this.#surroundings;
    const { staleMs } = scenario.clocks;
    const seenAt = staleMs === 0 ? clock.now : clock.now - random.between(0, staleMs);
    return Math.floor(this.#offset + seenAt * this.#drift);
  }
}
