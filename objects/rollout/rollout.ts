import { DurableObject } from "cloudflare:workers";
import { NEW_RELEASE, type ReleaseState } from "./release.ts";
import { hearRollout, newRolloutMemory, obeyOrder } from "./hear-rollout.ts";
import {
  rolloutOrderProblem,
  rolloutReportProblem,
  type RolloutOrder,
  type RolloutReply,
  type RolloutReport,
} from "./rollout-messages.ts";
import { rolloutStatus, type RolloutStatus } from "./rollout-status.ts";
import { openRolloutStore, type RolloutStore } from "./rollout-store.ts";

/** What came of an order. */
export type OrderReply =
  | { readonly v: 1; readonly kind: "done"; readonly status: RolloutStatus | null }
  | { readonly v: 1; readonly kind: "refused"; readonly problem: string };

/**
 * Owns a route's release: who of the fleet's clients gets which variant is decided by every isolate for itself, but which variants are
 * aborted or promoted is decided here (docs/design/traffic.md).
 *
 * That is written before the reply that tells of it, which the output gate holds until it is durable. There is no alarm: nothing is
 * done for a release of which nobody reports.
 */
export class Rollout extends DurableObject {
  readonly #store: RolloutStore;
  readonly #memory = newRolloutMemory(Date.now());
  #state: ReleaseState;
  #storedAt = -Infinity;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = openRolloutStore(ctx.storage);
    this.#state = this.#store.load() ?? NEW_RELEASE;
  }

  /** Takes in what an isolate has seen; says how the release stands. Throws a TypeError on a malformed message. */
  report(message: RolloutReport): RolloutReply {
    insist("take the report", rolloutReportProblem(message));
    const now = Date.now();
    const { state, reply, mustStore } = hearRollout(this.#state, this.#memory, message, { now, random: Math.random() });
    this.#keep(state, mustStore, now);
    return reply;
  }

  /** Does what an operator orders, and says how the release stands then. Throws a TypeError on a malformed order. */
  order(order: RolloutOrder): OrderReply {
    insist("carry the order out", rolloutOrderProblem(order));
    const now = Date.now();
    const obeyed = obeyOrder(this.#state, order, now);
    if ("problem" in obeyed) return { v: 1, kind: "refused", problem: obeyed.problem };
    this.#keep(obeyed, true, now);
    return { v: 1, kind: "done", status: this.status() };
  }

  /** How the release stands; null: nobody has said anything of it. */
  status(): RolloutStatus | null {
    return rolloutStatus(this.#state, this.#memory);
  }

  /** Answers when the object can be reached and its storage read. */
  ping(): { readonly v: 1 } {
    this.ctx.storage.sql.exec("SELECT 1 FROM sqlite_master LIMIT 1").toArray();
    return { v: 1 };
  }

  /** Losing evidence costs time and makes no false abort, so once a window is enough for it. */
  #keep(state: ReleaseState, mustStore: boolean, now: number): void {
    const known = this.#state;
    if (state === known) return;
    const isDue = Math.abs(now - this.#storedAt) >= (state.terms?.policy?.windowMs ?? EVIDENCE_MS);
    if (mustStore || isDue) {
      this.#store.save(state);
      this.#storedAt = now;
    }
    this.#state = state;
    for (const event of state.history.filter(({ epoch }) => epoch > known.epoch)) {
      const { kind, ...rest } = event;
      const level = kind === "aborted" ? "warn" : "info";
      console.log(JSON.stringify({ level, event: `canary-${kind}`, release: state.terms?.release, ...rest }));
    }
  }
}

/** Of a release that nothing aborts, only the figures are at stake. */
const EVIDENCE_MS = 30_000;

function insist(what: string, problem: string | undefined): void {
  if (problem !== undefined) throw new TypeError(`cannot ${what}: ${problem}`);
}
