import { parsePacked } from "../../packed.ts";
import { isBanNews, type BanNews } from "./ban-index-messages.ts";
import type { Errand } from "../housekeeping.ts";
import type { Rows, Table } from "../rows.ts";

/** What an object has yet to tell the index of bans. */
export interface NewsOutbox extends Errand {
  /** Notes what to tell; what was to be told of this client before is out of date. */
  add(news: BanNews, now: number): void;
}

/** No client has this handle. */
const LOST = "";

/** Of each client the last news that the index has not acknowledged. */
export const NEWS: Table<BanNews, undefined> = {
  name: "ban_news",
  pack: (news) => JSON.stringify(news),
  unpack: unpackNews,
  lost: (now) => ({ client: LOST, at: now, ban: null, until: now }),
  // The index drops a ban at its end by itself, so there is nothing to tell any more.
  forgettableAt: ({ until }) => until,
  newMemory: () => undefined,
};

const MAX_BATCH = 100;
/** The index has answered by then, or it counts as silent. */
const ANSWER_MS = 5_000;
const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 300_000;

/**
 * Opens the outbox. News is stored with the ban, and leaves only when the index has acknowledged it: told at once, and
 * by the object's alarm until then, so that a crash between loses nothing.
 *
 * @param rows opened with `NEWS`.
 * @param send brings a batch to the index; resolves when that has stored it.
 */
export function openNewsOutbox(
  rows: Rows<BanNews, undefined>,
  send: (batch: readonly BanNews[]) => Promise<unknown>,
): NewsOutbox {
  let failures = 0;
  let isTelling = false;

  return {
    add(news, now) {
      rows.store(news.client, { state: news, memory: undefined }, news, now);
    },
    async run() {
      if (isTelling) return;
      isTelling = true;
      try {
        for (let batch = rows.first(MAX_BATCH); batch.length > 0; batch = rows.first(MAX_BATCH)) {
          // Of what cannot be read there is nothing to tell; the index would refuse all that comes with it.
          const sound = batch.map(([, news]) => news).filter(({ client }) => client !== LOST);
          if (sound.length > 0) await within(send(sound), ANSWER_MS);
          for (const [client, { at }] of batch) {
            // Newer news may have come meanwhile.
            if (rows.load(client, at)?.state.at === at) rows.delete(client);
          }
        }
        failures = 0;
      } catch (error) {
        failures += 1;
        console.error(JSON.stringify({ level: "warn", event: "ban-index-silent", failures, error: String(error) }));
      } finally {
        isTelling = false;
      }
    },
    nextAt(now) {
      if (rows.isEmpty()) return undefined;
      return now + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.max(0, Math.min(failures, 10) - 1));
    },
  };
}

function unpackNews(text: string): BanNews | undefined {
  const news = parsePacked(text);
  return isBanNews(news) ? news : undefined;
}

async function within(call: Promise<unknown>, ms: number): Promise<void> {
  const answered = new AbortController();
  const late = scheduler.wait(ms, { signal: answered.signal }).then(() => {
    throw new Error(`no answer within ${ms} ms`);
  });
  try {
    await Promise.race([call, late]);
  } finally {
    // A timer that goes on would keep the object in memory.
    answered.abort();
  }
}
