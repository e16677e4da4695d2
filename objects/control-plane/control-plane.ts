import { DurableObject } from "cloudflare:workers";
import { MAX_RETENTION_MS, notePurge, prunePurges } from "./purge.ts";
import {
  purgeProblem,
  type EpochsMessage,
  type EpochsReply,
  type PurgeMessage,
  type PurgeReply,
} from "./purge-messages.ts";
import { openPurgeStore, type PurgeStore, type StoredPurges } from "./purge-store.ts";

/**
 * Knows what operators have decided for all isolates: so far, what of the cache they have purged. There is one. Isolates lease what it says
 * for two seconds, so it is asked about once in that time by each of them and never by every request.
 *
 * A purge is durable before its reply leaves: the output gate holds that until it is.
 */
export class ControlPlane extends DurableObject {
  readonly #store: PurgeStore;
  #purges: StoredPurges;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = openPurgeStore(ctx.storage);
    this.#purges = this.#store.load();
  }

  /** Notes a purge, and says since when it counts. Throws a TypeError on a malformed message. */
  purge(message: PurgeMessage): PurgeReply {
    const problem = purgeProblem(message);
    if (problem !== undefined) throw new TypeError(`ControlPlane cannot purge: ${problem}`);
    const now = Date.now();
    const before = this.#purges;
    const noted = notePurge(before.epochs, message.target, message.isSoft, now);
    const after = { version: before.version + 1, epochs: prunePurges(noted, now, MAX_RETENTION_MS) };
    this.#store.save(before, after);
    this.#purges = after;
    return { v: 1, at: now };
  }

  /** What an isolate doesn't know yet of all purges that still matter. */
  epochs({ version: known }: EpochsMessage): EpochsReply {
    const { version, epochs } = this.#purges;
    return { v: 1, version, epochs: version === known ? null : epochs };
  }

  /** Answers when the object can be reached and its storage read. */
  ping(): { readonly v: 1 } {
    this.ctx.storage.sql.exec("SELECT 1 FROM sqlite_master LIMIT 1").toArray();
    return { v: 1 };
  }
}
