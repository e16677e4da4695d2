import { DurableObject } from "cloudflare:workers";
import {
  claimProblem,
  settleProblem,
  type ClaimMessage,
  type ClaimReply,
  type KeptAnswer,
  type SettleMessage,
  type SettleReply,
} from "./idempotency-messages.ts";
import { asOf, DEFAULT_IDEMPOTENCY, keyDue, stepKey, UNUSED } from "./idempotency.ts";
import { openKeyStore, type ClaimedKey, type KeyStore } from "./key-store.ts";

/** It is the Worker that sends, so what is under way survives this object: no run of it is another. */
const RUN = "worker";

/**
 * Owns one idempotency key of one principal: who may send the request, and what was answered (docs/design/dedup.md).
 *
 * What a reply says is written before it, and the output gate holds it until that is durable; between the read and the write
 * there is no `await`. An instance that was superseded cannot write, so no two hand out a claim.
 */
export class Dedup extends DurableObject {
  readonly #store: KeyStore;
  /** Undefined: what was stored cannot be read, which must not count as never used. */
  #key: ClaimedKey | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = openKeyStore(ctx.storage);
    this.#key = this.#store.load();
  }

  /** Says whether a request may be sent, or what it gets instead. Throws a TypeError on a malformed message. */
  claim(message: ClaimMessage): ClaimReply {
    insist("take the claim", claimProblem(message));
    const { claim, fingerprint, policy } = message;
    const { state: known } = this.#known();
    const event = { kind: "ask", fingerprint, run: RUN } as const;
    const { state, answer } = stepKey(known, event, policy, Date.now());
    switch (answer.kind) {
      case "run":
        this.#keep({ state, claim }, null);
        return { v: 1, kind: "run" };
      case "replay":
        return { v: 1, kind: "replay", answer: this.#store.answer() };
      case "in-flight":
      case "reused":
        return { v: 1, kind: answer.kind };
      case "outcome-unknown": {
        const { isDone, until } = answer;
        return { v: 1, kind: "outcome-unknown", isDone, until };
      }
      case "noted":
        throw new Error("a claim was taken for a settlement");
    }
  }

  /** Takes in what came of a claim. Throws a TypeError on a malformed message. */
  async settle(message: SettleMessage): Promise<SettleReply> {
    insist("settle", settleProblem(message));
    const { claim, outcome, answer } = message;
    const { state, claim: latest } = this.#known();
    if (claim !== latest || state.kind === "unused") return { v: 1, isLatest: false };
    if (state.kind === "done") return { v: 1, isLatest: true };
    const event = { kind: "settle", attempt: state.attempt, outcome } as const;
    const { state: next } = stepKey(state, event, DEFAULT_IDEMPOTENCY, Date.now());
    if (next.kind === "unused") await this.#forget();
    else this.#keep({ state: next, claim }, answer);
    return { v: 1, isLatest: true };
  }

  /** Forgets a key whose time is over. */
  override async alarm(): Promise<void> {
    const state = this.#key === undefined ? UNUSED : asOf(this.#key.state, RUN, Date.now());
    if (state.kind === "unused") return this.#forget();
    await this.ctx.storage.setAlarm(keyDue(state));
  }

  /** Throws where that cannot be told: then nothing is answered, and nothing sent. */
  #known(): ClaimedKey {
    if (this.#key === undefined) throw new Error("what is stored of this key cannot be read");
    return this.#key;
  }

  /** Stores it, and only then takes it for true. */
  #keep(key: ClaimedKey, answer: KeptAnswer | null): void {
    this.#store.save(key, answer);
    this.#key = key;
    // Not awaited: it commits together with the row, and the output gate waits for both.
    void this.ctx.storage.setAlarm(keyDue(key.state));
  }

  async #forget(): Promise<void> {
    this.#key = { state: UNUSED, claim: "" };
    await this.#store.erase();
  }
}

function insist(what: string, problem: string | undefined): void {
  if (problem !== undefined) throw new TypeError(`cannot ${what}: ${problem}`);
}
