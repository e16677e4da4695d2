import {
  arriveForPermit,
  endOperation,
  keepUp,
  newPermitBorrower,
  PERMIT_CALL_MS,
  permitAnswered,
  permitCallFailed,
  releaseAt,
  releaseIdle,
  renew,
  type PermitBorrower,
} from "../../../objects/rate-limiter/permits/permit-borrower.ts";
import type { PermitMessage, PermitReplyItem } from "../../../objects/rate-limiter/permits/permit-messages.ts";
import type { Random } from "../random.ts";
import type { VirtualClock } from "../virtual-clock.ts";
import type { PermitScenario } from "./scenario.ts";

/** As in production. */
const DEADLINE_MS = 150;
const KEEP_UP_MS = 5_000;
const RETRY_MS = 500;
const LOOK_MS = 20;
const MAX_ASKS = 3;
/** About the end of a lease, and of the staleness of a clock. */
const LATE_MS = 60;
const LATE_STREAM_MS = 30_000;

/** What an isolate can do to the world around it. */
export interface PermitSurroundings {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly scenario: PermitScenario;
  readonly tally: PermitTally;
  send(message: PermitMessage, isCutOff: () => boolean, onReply: (item: PermitReplyItem | undefined) => void): void;
  /** An operation begins; the function to call when it is over. */
  begins(): () => void;
}

/** What became of the requests of all isolates. */
export interface PermitTally {
  requests: number;
  served: number;
  refused: number;
  /** Met no answer of the owner in time. */
  unanswered: number;
  /** Operations that were cut off, since their permit could not be kept up. */
  cut: number;
  /** Times that an operation was let last longer. */
  keptUp: number;
}

interface Request {
  readonly startedAt: number;
  readonly durationMs: number;
}

interface Flight {
  readonly number: number;
  readonly over: () => void;
  readonly endsAt: number;
  keptUpAt: number;
  isOver: boolean;
}

/** A Worker isolate: one borrower for the client, a clock of its own, and the watch over each operation. */
export class PermitIsolateHost {
  readonly #world: PermitSurroundings;
  readonly #borrower: PermitBorrower;
  readonly #drift: number;
  readonly #offset: number;
  readonly #flights = new Set<Flight>();
  #cutOffUntil = -Infinity;
  #isDead = false;
  #isWatched = false;

  constructor(name: string, permits: number, version: number, world: PermitSurroundings) {
    const { random, scenario } = world;
    this.#world = world;
    this.#borrower = newPermitBorrower(name, { client: "c", policy: "p", configVersion: version, limit: permits });
    this.#drift = 1 + (random.between(-1, 1) * scenario.clocks.driftPpm) / 1_000_000;
    this.#offset = random.between(0, 1_000_000_000_000);
    this.#loseSightSometimes();
  }

  /** @param durationMs how long it will be in flight; as the scenario draws it when not given. */
  request(durationMs = this.#drawDuration()): void {
    this.#world.tally.requests += 1;
    this.#decide({ startedAt: this.#world.clock.now, durationMs }, 0);
  }

  configure(permits: number, version: number): void {
    if (version <= this.#borrower.configVersion) return;
    this.#borrower.configVersion = version;
    this.#borrower.limit = permits;
  }

  /** The isolate is gone; at the origin its operations may go on for as long as it had promised. */
  die(): void {
    this.#isDead = true;
    for (const flight of this.#flights) {
      const leftMs = flight.keptUpAt + this.#borrower.terms.operationTimeoutMs - this.#time();
      const endsIn = Math.min(flight.endsAt - this.#world.clock.now, leftMs / this.#drift);
      this.#world.clock.after(endsIn, flight.over);
    }
  }

  #decide(request: Request, asks: number, isFirst = true): void {
    const { startedAt, durationMs } = request;
    if (this.#isDead) return;
    const { clock, tally } = this.#world;
    const arrival = arriveForPermit(this.#borrower, this.#now(), isFirst);
    if (arrival.kind === "started") {
      tally.served += 1;
      if (arrival.renewal !== undefined) this.#call(arrival.renewal, PERMIT_CALL_MS, () => {});
      this.#fly(arrival.operation, durationMs);
      return;
    }
    if (arrival.kind === "refused") {
      tally.refused += 1;
      return;
    }
    const leftMs = startedAt + DEADLINE_MS - clock.now;
    const isOver = leftMs <= 0 || asks === MAX_ASKS;
    if (isOver) tally.unanswered += 1;
    if (isOver && arrival.kind === "ask") permitCallFailed(this.#borrower, arrival.message);
    if (isOver) return;
    if (arrival.kind === "wait") {
      clock.after(Math.min(arrival.pollMs, leftMs), () => this.#decide(request, asks, false));
      return;
    }
    this.#call(arrival.message, leftMs, (isAnswered) => {
      if (isAnswered) this.#decide(request, asks + 1, false);
      else tally.unanswered += 1;
    });
  }

  #call(message: PermitMessage, deadlineMs: number, onEnd: (isAnswered: boolean) => void): void {
    const { clock, scenario } = this.#world;
    const isCutOff = () => clock.now < this.#cutOffUntil;
    let isOver = false;
    let isLost = false;
    const end = (isAnswered: boolean) => {
      if (isOver || this.#isDead) return;
      isOver = true;
      onEnd(isAnswered);
    };
    const lose = () => {
      if (isLost || this.#isDead) return;
      isLost = true;
      permitCallFailed(this.#borrower, message);
      this.#watchIdle();
      end(false);
    };
    this.#world.send(message, isCutOff, (item) => {
      if (this.#isDead) return;
      if (item === undefined) return lose();
      if (isLost && scenario.mutation !== "accepts a late answer") return;
      isLost = true;
      this.#hear(item);
      this.#watchIdle();
      end(true);
    });
    clock.after(deadlineMs, () => end(false));
    clock.after(PERMIT_CALL_MS, lose);
  }

  #hear(item: PermitReplyItem): void {
    const now = this.#now();
    const { lease } = this.#borrower;
    const { mutation } = this.#world.scenario;
    if (mutation === "accepts a late answer") {
      this.#borrower.lease = { ...lease, seq: item.reply?.seq ?? lease.seq, askedAt: lease.askedAt ?? now };
    }
    if (mutation === "counts a lease from its answer" && lease.askedAt !== undefined) {
      this.#borrower.lease = { ...lease, askedAt: now };
    }
    permitAnswered(this.#borrower, item, now);
    const hasPermits = this.#borrower.lease.permits > 0;
    if (hasPermits && this.#world.random.next() < this.#world.scenario.lateStreams) this.#startLate();
    if (mutation === "accepts a late answer") {
      this.#borrower.lease = { ...this.#borrower.lease, seq: Math.max(lease.seq, this.#borrower.lease.seq) };
    }
  }

  #drawDuration(): number {
    const { random, scenario } = this.#world;
    const { meanMs, streams } = scenario.operations;
    return random.next() < streams ? random.between(5_000, 60_000) : random.exponential(meanMs);
  }

  #fly(number: number, durationMs: number): void {
    const { clock } = this.#world;
    const over = this.#world.begins();
    const flight = { number, over, endsAt: clock.now + durationMs, keptUpAt: this.#time(), isOver: false };
    this.#flights.add(flight);
    clock.after(durationMs, () => this.#land(flight));
    this.#arm(flight, KEEP_UP_MS);
  }

  #land(flight: Flight): void {
    if (flight.isOver || this.#isDead) return;
    flight.isOver = true;
    this.#flights.delete(flight);
    flight.over();
    endOperation(this.#borrower, flight.number);
    this.#watchIdle();
  }

  /** Asked when a timer has fired, which is an input: the clock is not stale then. */
  #leftMs({ keptUpAt }: Flight): number {
    return keptUpAt + this.#borrower.terms.operationTimeoutMs - this.#time();
  }

  #arm(flight: Flight, ms: number): void {
    const delayMs = Math.max(1, Math.min(ms, this.#leftMs(flight))) / this.#drift;
    this.#world.clock.after(delayMs, () => this.#check(flight));
  }

  #check(flight: Flight): void {
    if (flight.isOver || this.#isDead) return;
    if (this.#keep(flight)) return this.#arm(flight, KEEP_UP_MS);
    const leftMs = this.#leftMs(flight);
    if (leftMs <= 0) return this.#lose(flight);
    const message = renew(this.#borrower, this.#now());
    if (message === undefined) return this.#arm(flight, RETRY_MS);
    this.#call(message, Math.min(PERMIT_CALL_MS, leftMs), () => {
      if (flight.isOver) return;
      this.#arm(flight, this.#keep(flight) ? KEEP_UP_MS : RETRY_MS);
    });
  }

  #keep(flight: Flight): boolean {
    const now = this.#now();
    if (!keepUp(this.#borrower, flight.number, now)) return false;
    flight.keptUpAt = now;
    this.#world.tally.keptUp += 1;
    return true;
  }

  #lose(flight: Flight): void {
    if (this.#world.scenario.mutation === "lets operations outlive their permits") return;
    this.#world.tally.cut += 1;
    this.#land(flight);
  }

  #watchIdle(): void {
    if (this.#isWatched) return;
    const dueAt = releaseAt(this.#borrower);
    if (dueAt === undefined) return;
    this.#isWatched = true;
    this.#world.clock.after(Math.max(LOOK_MS, dueAt - this.#now()), () => {
      this.#isWatched = false;
      if (this.#isDead) return;
      const message = releaseIdle(this.#borrower, this.#now());
      if (message === undefined) this.#watchIdle();
      else this.#call(message, PERMIT_CALL_MS, () => this.#watchIdle());
    });
  }

  #startLate(): void {
    const { clock } = this.#world;
    this.#cutOffUntil = clock.now + LATE_STREAM_MS;
    const endsIn = (this.#borrower.lease.startsUntil - this.#time()) / this.#drift;
    for (let early = -LATE_MS; early <= LATE_MS; early += 4) {
      clock.after(endsIn - early, () => this.request(LATE_STREAM_MS));
    }
  }

  #loseSightSometimes(): void {
    const { clock, random, scenario } = this.#world;
    if (scenario.cutOffEveryMs === Infinity) return;
    clock.after(random.exponential(scenario.cutOffEveryMs), () => {
      this.#cutOffUntil = clock.now + random.between(5_000, 40_000);
      if (!this.#isDead) this.#loseSightSometimes();
    });
  }

  /** What this isolate's clock says: the time of the last input at worst. */
  #now(): number {
    const { random, scenario } = this.#world;
    const { staleMs } = scenario.clocks;
    return Math.floor(this.#time() - (staleMs === 0 ? 0 : random.between(0, staleMs)));
  }

  /** What it would say after an input. */
  #time(): number {
    return this.#offset + this.#world.clock.now * this.#drift;
  }
}
