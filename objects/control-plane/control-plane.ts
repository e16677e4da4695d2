import { DurableObject } from "cloudflare:workers";
import { boundGroups } from "./group-purges.ts";
import { MAX_RETENTION_MS, notePurge, prunePurges } from "./purge.ts";
import {
  purgeProblem,
  type EpochsMessage,
  type EpochsReply,
  type PurgeMessage,
  type PurgeReply,
  type TallyMessage,
} from "./purge-messages.ts";
import { openPurgeStore, type PurgeStore, type StoredPurges } from "./purge-store.ts";
import { openTallyStore, type StoredTally, type TallyStore } from "./tally-store.ts";

/**
 * Knows what operators have decided for all isolates: so far, what of the cache they have purged; and sums what caches did, which isolates tell by the way. There is one. Isolates lease what it says
 * for two seconds, so it is asked about once in that time by each of them and never by every request.
 *
 * A purge is durable before its reply leaves: the output gate holds that until it is.
 */
export class ControlPlane extends DurableObject {
  readonly #store: PurgeStore;
  readonly #tally: TallyStore;
  #purges: StoredPurges;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = openPurgeStore(ctx.storage);
    this.#purges = this.#store.load();
    this.#tally = openTallyStore(ctx.storage);
  }

  /** Notes a purge, and says since when it counts. Throws a TypeError on a malformed message. */
  purge(message: PurgeMessage): PurgeReply {
    const problem = purgeProblem(message);
    if (problem !== undefined) throw new TypeError(`ControlPlane cannot purge: ${problem}`);
    const now = Date.now();
    const before = this.#purges;
    const noted = notePurge(before.epochs, message.target, message.isSoft, now);
    const after = { version: before.version + 1, epochs: prunePurges(boundGroups(noted), now, MAX_RETENTION_MS) };
    this.#store.save(before, after);
    this.#purges = after;
    return { v: 1, at: now };
  }

  /** What an isolate doesn't know yet of all purges that still matter. */
  epochs({ version: known, tally }: EpochsMessage): EpochsReply {
    if (tally !== undefined) this.#tally.add(tally);
    const { version, epochs } = this.#purges;
    return { v: 1, version, epochs: version === known ? null : epochs };
  }

  /** What the caches of all isolates have done, as far as they have told. */
  tally({ tally }: TallyMessage): StoredTally {
    if (tally !== undefined) this.#tally.add(tally);
    return this.#tally.read();
  }

  /** Answers when the object can be reached and its storage read. */
  ping(): { readonly v: 1 } {
    this.ctx.storage.sql.exec("SELECT 1 FROM sqlite_master LIMIT 1").toArray();
    return { v: 1 };
  }
}
