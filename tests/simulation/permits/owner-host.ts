import { decidePermits } from "../../../objects/rate-limiter/permits/permit-ledger.ts";
import {
  permitProblem,
  type PermitMessage,
  type PermitMessageReply,
} from "../../../objects/rate-limiter/permits/permit-messages.ts";
import {
  NO_PERMITS,
  packPermits,
  unpackPermits,
  type PermitState,
} from "../../../objects/rate-limiter/permits/permit-state.ts";
import type { Random } from "../random.ts";
import type { VirtualClock } from "../virtual-clock.ts";
import type { PermitScenario } from "./scenario.ts";

const EPOCH = 1_790_000_000_000;
/** The guard, and half a second. */
const EARLY_MS = 600;

interface Instance {
  /** Storage takes writes of the newest one only. */
  readonly generation: number;
  state: PermitState;
}

/** The object as a platform runs it: one client's row, restarts, a second instance that doesn't know that it is over. */
export class PermitOwnerHost {
  calls = 0;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #scenario: PermitScenario;
  readonly #onWritten: (state: PermitState) => void;
  #stored: string | undefined;
  #current: Instance = { generation: 1, state: NO_PERMITS };
  #stale: Instance | undefined;
  #downUntil = -Infinity;

  constructor(clock: VirtualClock, random: Random, scenario: PermitScenario, onWritten: (state: PermitState) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#scenario = scenario;
    this.#onWritten = onWritten;
    this.#scheduleRestart();
  }

  /** Undefined: the owner fails. */
  receive(message: PermitMessage): PermitMessageReply | undefined {
    this.calls += 1;
    const problem = permitProblem(message);
    if (problem !== undefined) throw new TypeError(problem);
    if (this.#clock.now < this.#downUntil) return undefined;
    const instance = this.#stale !== undefined && this.#random.next() < 0.5 ? this.#stale : this.#current;
    const now = EPOCH + Math.floor(this.#clock.now);
    const { state, reply } = decidePermits(this.#known(instance.state), this.#mutated(message), now);
    if (state === instance.state) return reply;
    if (instance.generation !== this.#current.generation) {
      // Its write throws: what it decided never leaves, and the platform ends it.
      this.#stale = undefined;
      return undefined;
    }
    instance.state = state;
    this.#stored = packPermits(state);
    this.#onWritten(state);
    return reply;
  }

  #known(state: PermitState): PermitState {
    if (this.#scenario.mutation !== "takes the limit of an older configuration") return state;
    return { ...state, policies: state.policies.map((policy) => ({ ...policy, configVersion: 0 })) };
  }

  #mutated(message: PermitMessage): PermitMessage {
    if (this.#scenario.mutation !== "reclaims half a second early") return message;
    const items = message.items.map((item) => ({ ...item, operationTimeoutMs: item.operationTimeoutMs - EARLY_MS }));
    return { ...message, items };
  }

  #start(generation: number): Instance {
    const isLost = this.#scenario.mutation === "forgets in a restart" || this.#stored === undefined;
    const state = isLost ? NO_PERMITS : unpackPermits(this.#stored ?? "");
    if (state === undefined) throw new Error(`the stored row cannot be read: ${this.#stored ?? ""}`);
    return { generation, state };
  }

  #scheduleRestart(): void {
    const { restartEveryMs, splitBrain } = this.#scenario.owner;
    if (restartEveryMs === Infinity) return;
    this.#clock.after(this.#random.exponential(restartEveryMs), () => {
      const isSplit = splitBrain && this.#random.next() < 0.5;
      const old = this.#current;
      this.#stale = isSplit ? old : undefined;
      this.#current = this.#start(old.generation + 1);
      if (!isSplit) this.#downUntil = this.#clock.now + this.#random.between(0, 100);
      if (isSplit) this.#clock.after(this.#random.between(0, 1_000), () => (this.#stale = undefined));
      this.#scheduleRestart();
    });
  }
}
