import { createLru } from "../../../objects/lru.ts";
import type { Asking } from "./asking.ts";
import { fetchAnew } from "./fetch-anew.ts";
import { collectBody } from "./fill-body.ts";
import { keepingOf } from "./fill.ts";
import { askFlight } from "./flights.ts";

/** The runtime ends what is left of an exchange after so long, and runs no more of it. */
const LOST_MS = 30_000;

/** What this isolate is fetching anew since when, by address. Nobody waits for another's fetch: the stale is there for all. */
const underWay = createLru<string, number>(1_000);

/** Fetches behind the client's back what it has got stale. Once at a time in an isolate. */
export function refreshLater(asking: Asking): void {
  const { exchange, kept } = asking;
  const address = kept?.address;
  const now = Date.now();
  if (address === undefined || now - (underWay.get(address) ?? -Infinity) < LOST_MS) return;
  underWay.set(address, now);
  exchange.ctx.waitUntil(
    refresh(asking)
      // The origin failed, or the tier: the next who gets the stale tries again.
      .catch(() => {})
      .finally(() => underWay.delete(address)),
  );
}

async function refresh(before: Asking): Promise<void> {
  // The client may leave, and hears nothing of it.
  const stop = new AbortController();
  const deadline = Date.now() + before.exchange.route.route.timeouts.total;
  const exchange = { ...before.exchange, deadline, stop, responseHeaders: [], notes: {} };
  const asking = { ...before, exchange };
  const shared = await askFlight(asking);
  const { answer, keep } =
    shared === undefined
      ? await fetchAnew(asking, { stop })
      : { answer: shared.answer, keep: keepingOf(asking, shared).keep };
  if (keep === undefined) await answer.body?.cancel();
  else await keep(await collectBody(answer, asking.policy.maxBytes));
}
