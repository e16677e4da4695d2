import { leaseProblem, type LeaseMessage, type LeaseReply } from "../../objects/rate-limiter/leases/lease-messages.ts";
import { answerFromRoot, failedAtRoot, retire, retireAt } from "../../objects/rate-limiter/shards/shard-asking.ts";
import { branchKey, newBranch, poolOf, type Branch } from "../../objects/rate-limiter/shards/shard-branch.ts";
import { SHARD_RULES, type AllRules } from "../../objects/rate-limiter/shards/shard-rules.ts";
import { hear, serve } from "../../objects/rate-limiter/shards/shard.ts";
import { OVERLOAD_MS } from "./owner-host.ts";
import type { Random } from "./random.ts";
import type { Scenario } from "./scenario.ts";
import { OWNER_EPOCH, type VirtualClock } from "./virtual-clock.ts";

/** How long a request waits in a shard for the root. */
const WAIT_MS = 100;

type OnReply = (reply: LeaseReply | undefined) => void;

/** A shard's place in the world. */
export interface ShardSurroundings {
  readonly name: string;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly scenario: Scenario;
  toRoot(message: LeaseMessage, onReply: OnReply): void;
  /** A decision left the shard. */
  onDecision(message: LeaseMessage, reply: LeaseReply): void;
}

interface Instance {
  readonly name: string;
  readonly drift: number;
  readonly branches: Map<string, Branch>;
  /** What waits for the root, by branch. */
  readonly waiting: Map<Branch, (() => void)[]>;
  readonly watched: Set<Branch>;
  readonly firstId: number;
  busyUntil: number;
  isDead: boolean;
}

/** A shard as a platform runs it: nothing is stored, its memory goes at any time, and two may live at once. */
export class ShardHost {
  readonly callsBySecond: number[] = [];
  readonly #world: ShardSurroundings;
  readonly #rules: AllRules;
  #current: Instance;
  #stale: Instance | undefined;
  #generation = 0;

  constructor(world: ShardSurroundings) {
    this.#world = world;
    this.#rules = { lease: world.scenario.rules, shard: world.scenario.sharding?.rules ?? SHARD_RULES };
    this.#current = this.#start();
    this.#scheduleLoss();
  }

  /** Tokens of a policy that this shard's instances may spend or lend at this instant. */
  spendable(policy: string): number {
    let tokens = 0;
    for (const instance of [this.#current, this.#stale]) {
      for (const branch of instance?.branches.values() ?? []) {
        const index = branch.parent.holdings.findIndex(({ limit }) => limit.policy === policy);
        if (instance !== undefined) tokens += poolOf(branch, index, this.#now(instance), this.#rules.shard);
      }
    }
    return tokens;
  }

  /** A message of an isolate arrives; the reply, or undefined when the shard fails, comes when there is one. */
  receive(message: LeaseMessage, onReply: OnReply): void {
    const { clock, random, scenario } = this.#world;
    const problem = leaseProblem(message);
    if (problem !== undefined) throw new TypeError(problem);
    const second = Math.floor(clock.now / 1_000);
    this.callsBySecond[second] = (this.callsBySecond[second] ?? 0) + 1;
    const instance = this.#stale !== undefined && random.next() < 0.5 ? this.#stale : this.#current;
    if (instance.busyUntil - clock.now > OVERLOAD_MS) return onReply(undefined);
    instance.busyUntil = Math.max(clock.now, instance.busyUntil) + scenario.owner.serviceMs;
    clock.after(instance.busyUntil - clock.now, () => this.#work(instance, message, onReply));
  }

  #work(instance: Instance, message: LeaseMessage, onReply: OnReply): void {
    if (instance.isDead) return onReply(undefined);
    const branch = this.#branchOf(instance, message);
    const repeated = hear(branch, message, this.#now(instance), this.#rules);
    if (repeated !== undefined) return onReply(repeated);
    this.#serve(instance, branch, message, { onReply, hasAsked: false, until: this.#world.clock.now + WAIT_MS });
  }

  #serve(
    instance: Instance,
    branch: Branch,
    message: LeaseMessage,
    { onReply, hasAsked, until }: { onReply: OnReply; hasAsked: boolean; until: number },
  ): void {
    const { clock } = this.#world;
    if (instance.isDead) return onReply(undefined);
    const served = serve(branch, message, this.#now(instance), hasAsked, this.#rules);
    if (served.kind === "failed") return onReply(undefined);
    if (served.call !== undefined) this.#call(instance, branch, served.call);
    if (served.kind === "answered") {
      this.#world.onDecision(message, served.reply);
      this.#watch(instance, branch);
      return onReply(served.reply);
    }
    let isOver = false;
    const end = (act: () => void) => {
      if (isOver) return;
      isOver = true;
      act();
    };
    const again = { onReply, hasAsked: hasAsked || served.call !== undefined, until };
    const waiting = instance.waiting.get(branch) ?? [];
    instance.waiting.set(branch, [...waiting, () => end(() => this.#serve(instance, branch, message, again))]);
    clock.after(until - clock.now, () => end(() => onReply(undefined)));
  }

  #call(instance: Instance, branch: Branch, message: LeaseMessage): void {
    this.#world.toRoot(message, (reply) => {
      if (instance.isDead) return;
      const now = this.#now(instance);
      if (reply === undefined) failedAtRoot(branch, message.seq, now);
      if (reply !== undefined) answerFromRoot(branch, message.seq, reply, now, this.#rules.lease);
      const waiting = instance.waiting.get(branch) ?? [];
      instance.waiting.delete(branch);
      for (const wake of waiting) wake();
    });
  }

  /** Returns what is left when nobody asks any more. */
  #watch(instance: Instance, branch: Branch): void {
    const dueAt = retireAt(branch);
    if (dueAt === undefined || instance.watched.has(branch)) return;
    instance.watched.add(branch);
    this.#world.clock.after(Math.max(1, dueAt - this.#now(instance)), () => {
      instance.watched.delete(branch);
      if (instance.isDead) return;
      const message = retire(branch, this.#now(instance));
      if (message === undefined) this.#watch(instance, branch);
      if (message !== undefined) this.#world.toRoot(message, () => {});
    });
  }

  #branchOf(instance: Instance, message: LeaseMessage): Branch {
    const key = branchKey(message);
    const known = instance.branches.get(key);
    if (known !== undefined) return known;
    const made = newBranch(message, `${instance.name}.${instance.branches.size}`, instance.firstId);
    instance.branches.set(key, made);
    return made;
  }

  #start(): Instance {
    const { name, clock, random, scenario } = this.#world;
    this.#generation += 1;
    return {
      name: `${name}.${this.#generation}`,
      drift: 1 + (random.between(-1, 1) * scenario.clocks.driftPpm) / 1_000_000,
      branches: new Map(),
      waiting: new Map(),
      watched: new Set(),
      firstId: 2 ** 52 + random.integer(0, 2 ** 31 - 1) * 2 ** 20,
      busyUntil: clock.now,
      isDead: false,
    };
  }

  #scheduleLoss(): void {
    const { clock, random, scenario } = this.#world;
    const { lifeMs = Infinity, splitBrain = false } = scenario.sharding ?? {};
    if (lifeMs === Infinity) return;
    clock.after(random.exponential(lifeMs), () => {
      const old = this.#current;
      if (this.#stale !== undefined) this.#stale.isDead = true;
      const isSplit = splitBrain && random.next() < 0.5;
      this.#stale = isSplit ? old : undefined;
      old.isDead = !isSplit;
      this.#current = this.#start();
      if (isSplit) {
        clock.after(random.between(0, 3_000), () => {
          old.isDead = true;
          if (this.#stale === old) this.#stale = undefined;
        });
      }
      this.#scheduleLoss();
    });
  }

  /** An object reads its clock when an event begins, so it is not stale; its speed is its own. */
  #now(instance: Instance): number {
    return Math.floor(OWNER_EPOCH + this.#world.clock.now * instance.drift);
  }
}
