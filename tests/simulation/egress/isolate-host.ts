import { startOf, type HeldSlot } from "../../../objects/upstream-quota/held-slots.ts";
import {
  againInMs,
  arrive,
  arriveAgain,
  giveBack,
  giveUpAhead,
  hearAhead,
  hearGrant,
  lookAgain,
  newBorrower,
  type Arrived,
  type Ask,
  type Borrower,
  type GivenUp,
  type Step,
  type Wish,
} from "../../../objects/upstream-quota/quota-borrower.ts";
import type {
  AcquireMessage,
  AcquireReply,
  ReleaseMessage,
  SignalMessage,
  UnusedSlot,
} from "../../../objects/upstream-quota/quota-messages.ts";
import { signalOf } from "../../../objects/upstream-quota/upstream-signal.ts";
import type { Random } from "../random.ts";
import type { VirtualClock } from "../virtual-clock.ts";
import type { End } from "./checker.ts";
import type { Arrival, EgressScenario } from "./scenario.ts";

/** What an isolate meets outside. */
export interface EgressSurroundings {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly scenario: EgressScenario;
  readonly acquire: (message: AcquireMessage, onReply: (reply: AcquireReply | undefined) => void) => void;
  readonly signal: (message: SignalMessage) => void;
  readonly release: (message: ReleaseMessage) => void;
  /** Calls the upstream. */
  readonly call: (client: string, onAnswer: (status: number, retryAfterMs: number | undefined) => void) => void;
  readonly ended: (request: EgressRequest, end: End) => void;
}

/** One request on its way to the upstream. */
export interface EgressRequest {
  readonly client: string;
  readonly priority: Arrival["priority"];
  readonly seq: number;
  /** By the world's clock. */
  readonly cameAt: number;
  readonly deadlineAt: number;
  /** By the isolate's. */
  readonly localDeadline: number;
  isOver: boolean;
}

const CONFIG_VERSION = 1;

/** An isolate as the Worker will be: the shipped half around calls, timers and a clock of its own. */
export class QuotaIsolateHost {
  isDead = false;
  readonly #name: string;
  readonly #world: EgressSurroundings;
  readonly #drift: number;
  readonly #origin: number;
  readonly #requests = new Set<EgressRequest>();
  #borrower: Borrower = newBorrower();
  #seq = 0;

  constructor(name: string, world: EgressSurroundings) {
    this.#name = name;
    this.#world = world;
    const { random, scenario } = world;
    this.#drift = 1 + (random.between(-1, 1) * scenario.clocks.driftPpm) / 1e6;
    this.#origin = random.between(0, 1e9);
  }

  /** A request wants to call the upstream. */
  request({ client, priority, waitMs }: Arrival): void {
    const { clock, random, scenario } = this.#world;
    this.#seq += 1;
    const localDeadline = this.#now() + waitMs;
    const { now: cameAt } = clock;
    const deadlineAt = cameAt + waitMs;
    const request = { client, priority, seq: this.#seq, cameAt, deadlineAt, localDeadline, isOver: false };
    this.#requests.add(request);
    if (scenario.mutation !== "has no deadline") this.#after(waitMs, () => this.#giveUp(request, "refused"));
    if (random.next() < scenario.leaving) this.#after(random.between(0, waitMs), () => this.#giveUp(request, "left"));
    this.#took(request, arrive(this.#borrower, this.#wish(request), scenario.rules));
  }

  /** The isolate is gone with all that it held. */
  die(): void {
    this.isDead = true;
    for (const request of this.#requests) this.#end(request, "lost");
  }

  #wish({ localDeadline: deadlineAt }: EgressRequest): Wish {
    return { now: this.#now(), deadlineAt, policy: this.#world.scenario.policy };
  }

  #took(request: EgressRequest, { borrower, step, renewal }: Arrived): void {
    this.#borrower = borrower;
    if (renewal !== undefined) this.#renew(request, renewal);
    this.#take(request, step);
  }

  #take(request: EgressRequest, step: Step): void {
    switch (step.kind) {
      case "look-again":
        this.#after(step.inMs, () => {
          if (this.isDead || request.isOver) return;
          this.#took(request, lookAgain(this.#borrower, this.#wish(request), step.until, this.#world.scenario.rules));
        });
        return;
      case "start":
        this.#follow(request, step.slot);
        return;
      case "ask":
        this.#ask(request, step.ask);
        return;
      case "refuse":
        this.#end(request, "refused");
    }
  }

  #ask(request: EgressRequest, ask: Ask): void {
    const { random, scenario } = this.#world;
    const { client, priority, seq } = request;
    const terms = { quota: "provider", configVersion: CONFIG_VERSION, policy: scenario.policy };
    const sentAt = this.#now();
    const waitMs = scenario.mutation === "has no deadline" ? 300_000 : ask.waitMs;
    const message = { v: 1, isolate: this.#name, seq, client, priority, ...ask, waitMs, ...terms } as const;
    this.#world.acquire(message, (reply) => {
      if (this.isDead) return;
      if (reply === undefined) {
        this.#after(againInMs(random.next()), () => this.#again(request, []));
        return;
      }
      if (reply.kind === "refused") {
        this.#end(request, "refused");
        return;
      }
      const times = { sentAt, receivedAt: this.#now(), spare: ask.spare };
      const { borrower, slot } = hearGrant(this.#borrower, reply, times, scenario.rules);
      this.#borrower = borrower;
      if (slot !== undefined) this.#follow(request, slot);
    });
  }

  #renew({ client, priority }: EgressRequest, ask: Ask): void {
    const { rules, policy } = this.#world.scenario;
    const terms = { quota: "provider", configVersion: CONFIG_VERSION, policy };
    this.#seq += 1;
    const sentAt = this.#now();
    const message = { v: 1, isolate: this.#name, seq: this.#seq, client, priority, ...ask, ...terms } as const;
    this.#world.acquire(message, (reply) => {
      if (this.isDead || reply === undefined) return;
      const times = { sentAt, receivedAt: this.#now(), spare: ask.spare };
      this.#borrower = hearAhead(this.#borrower, reply, times, rules);
    });
  }

  #again(request: EgressRequest, unused: readonly UnusedSlot[]): void {
    if (this.isDead) return;
    const { localDeadline, isOver } = request;
    if (isOver) this.#giveBack(unused);
    else this.#take(request, arriveAgain(this.#borrower, { now: this.#now(), deadlineAt: localDeadline }, unused));
  }

  #follow(request: EgressRequest, slot: HeldSlot): void {
    if (this.isDead) return;
    if (request.isOver) {
      this.#goOn(giveBack(this.#borrower, slot));
      return;
    }
    const fate = startOf(slot, this.#now(), this.#world.scenario.rules);
    switch (fate.kind) {
      case "wait":
        this.#after(fate.ms, () => this.#follow(request, slot));
        return;
      case "late": {
        const { borrower, unused } = giveBack(this.#borrower, slot);
        this.#borrower = borrower;
        this.#again(request, unused);
        return;
      }
      case "start":
        this.#start(request, slot);
    }
  }

  #start(request: EgressRequest, slot: HeldSlot): void {
    this.#end(request, "started");
    if (this.#world.scenario.mutation === "starts by a slot that it has given back")
      this.#giveBack([{ id: slot.id, count: 1 }]);
    this.#world.call(request.client, (status, retryAfterMs) => {
      if (this.isDead) return;
      const signal = signalOf({ status, retryAfterMs, rateLimit: null });
      if (signal.kind === "ok" && !slot.wantsSuccess) return;
      if (signal.kind !== "ok") this.#goOn(giveUpAhead(this.#borrower));
      const { policy } = this.#world.scenario;
      this.#world.signal({ v: 1, epoch: slot.epoch, signal, quota: "provider", configVersion: CONFIG_VERSION, policy });
    });
  }

  #giveUp(request: EgressRequest, end: End): void {
    if (request.isOver || this.isDead) return;
    this.#end(request, end);
    this.#world.release({ v: 1, isolate: this.#name, withdrawn: [request.seq], unused: [] });
  }

  #goOn({ borrower, unused }: GivenUp): void {
    this.#borrower = borrower;
    this.#giveBack(unused);
  }

  #giveBack(unused: readonly UnusedSlot[]): void {
    if (unused.length > 0) this.#world.release({ v: 1, isolate: this.#name, withdrawn: [], unused });
  }

  #end(request: EgressRequest, end: End): void {
    if (request.isOver) return;
    request.isOver = true;
    this.#requests.delete(request);
    this.#world.ended(request, end);
  }

  /** A timer, never early by the isolate's own clock, sometimes late. */
  #after(ms: number, run: () => void): void {
    this.#world.clock.after(ms / this.#drift + this.#world.random.between(0, 3), run);
  }

  #now(): number {
    const { clock, random, scenario } = this.#world;
    return this.#origin + clock.now * this.#drift - random.between(0, scenario.clocks.staleMs);
  }
}
