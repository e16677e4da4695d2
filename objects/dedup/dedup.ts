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
import { newPool } from "../connection-pool/pool.ts";
import { flightProblem, type FlightMessage } from "./flight-messages.ts";
import { asOf, DEFAULT_IDEMPOTENCY, keyDue, stepKey, UNUSED } from "./idempotency.ts";
import { newLiveFlights, type AskOrigin, type LiveFlights } from "./live-flights.ts";
import { openKeyStore, type ClaimedKey, type KeyStore } from "./key-store.ts";

/** It is the Worker that sends, so what is under way survives this object: no run of it is another. */
const RUN = "worker";

/** So many keys in one object, and those of which nothing is under way are forgotten. */
const MANY_KEYS = 64;

/** Everything of the origin's as it is: redirects are the client's, and coded bodies keep their bytes. */
const AS_IT_IS = { redirect: "manual", encodeResponseBody: "manual" } as const;

/**
 * Owns one idempotency key of one principal: who may send the request, and what was answered; or, by a name of another kind, the flights of
 * keys of the cache: who waits for which request to its origin (docs/design/dedup.md).
 *
 * Of flights nothing is stored: what is lost with this memory is asked for again.
 *
 * Of keys, what a reply says is written before it, and the output gate holds it until that is durable; between the read and the write
 * there is no `await`. An instance that was superseded cannot write, so no two hand out a claim.
 */
export class Dedup extends DurableObject {
  /** Opened when it is first needed, which it never is for flights. */
  #opened: KeyStore | undefined;
  /** Undefined: it has not been read yet, or cannot be, which must not count as never used. */
  #key: ClaimedKey | undefined;
  /** By key. On Cloudflare there is one. */
  readonly #flights = new Map<string, LiveFlights>();
  readonly #pool = newPool();

  /** Takes a request aboard that others may share: see `LiveFlights.join`. */
  override async fetch(request: Request): Promise<Response> {
    const message: FlightMessage = await request.json();
    insist("take the request aboard", flightProblem(message));
    return this.#live(message.key).join(message);
  }

  /** Somebody who went alone has got what can be shared: the next ones need not go alone. */
  noteShareable(key: string): void {
    this.#flights.get(key)?.noteShareable();
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
        return { v: 1, kind: "replay", answer: this.#store().answer() };
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
    const key = this.#read();
    const state = key === undefined ? UNUSED : asOf(key.state, RUN, Date.now());
    if (state.kind === "unused") return this.#forget();
    await this.ctx.storage.setAlarm(keyDue(state));
  }

  /** Throws where that cannot be told: then nothing is answered, and nothing sent. */
  #known(): ClaimedKey {
    const key = this.#read();
    if (key === undefined) throw new Error("what is stored of this key cannot be read");
    return key;
  }

  #read(): ClaimedKey | undefined {
    this.#key ??= this.#store().load();
    return this.#key;
  }

  #store(): KeyStore {
    this.#opened ??= openKeyStore(this.ctx.storage);
    return this.#opened;
  }

  #live(key: string): LiveFlights {
    const known = this.#flights.get(key);
    if (known !== undefined) return known;
    if (this.#flights.size >= MANY_KEYS) {
      for (const [other, flights] of this.#flights) if (flights.isIdle()) this.#flights.delete(other);
    }
    const { exports } = this.ctx;
    const ask: AskOrigin = ({ route, requestId, client, configVersion, placement, url, fields }, signal) => {
      const props = { route, requestId, client, flight: { configVersion }, ...(placement && { placement }) };
      const headers = fields.map(([name, value]): [string, string] => [name, value]);
      return exports.Origin({ props }).fetch(url, { headers, signal, ...AS_IT_IS });
    };
    const live = newLiveFlights(ask, this.#pool);
    this.#flights.set(key, live);
    return live;
  }

  /** Stores it, and only then takes it for true. */
  #keep(key: ClaimedKey, answer: KeptAnswer | null): void {
    this.#store().save(key, answer);
    this.#key = key;
    // Not awaited: it commits together with the row, and the output gate waits for both.
    void this.ctx.storage.setAlarm(keyDue(key.state));
  }

  async #forget(): Promise<void> {
    this.#key = { state: UNUSED, claim: "" };
    await this.#store().erase();
  }
}

function insist(what: string, problem: string | undefined): void {
  if (problem !== undefined) throw new TypeError(`cannot ${what}: ${problem}`);
}
