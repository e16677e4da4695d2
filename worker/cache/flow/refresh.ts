import { createLru } from "../../../objects/lru.ts";
import { isErrorStatus } from "../answer.ts";
import { shelvesOf, type Asking } from "./asking.ts";
import { renew } from "./confirm.ts";
import { fieldsOf, readerOf } from "../fields.ts";
import { collectBody } from "./fill-body.ts";
import { judged, keepLater } from "./fill.ts";
import { confirmed, validatorsOf } from "../revalidation.ts";
import { toStored } from "../stored-response.ts";
import { wholeBody } from "../tiers/kept-body.ts";
import { findResponse, forgetResponse } from "../tiers/shelves.ts";

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

async function refresh(asking: Asking): Promise<void> {
  const { exchange, next, keyed, policy } = asking;
  // What the client is being given is read by it.
  const found = await findResponse(keyed, shelvesOf(asking));
  const kept = found.kind === "found" ? found.kept : undefined;
  const conditions = kept === undefined ? [] : validatorsOf(readerOf(kept.stored.fields));
  const asked = keyed.fill(conditions);
  const requestedAt = Date.now();
  const notes: Asking["exchange"]["notes"] = {};
  const answer = await next({
    ...asked,
    canonical: { ...asked.canonical, method: "GET" },
    deadline: requestedAt + exchange.route.route.timeouts.total,
    responseHeaders: [],
    notes,
    // The client may leave.
    stop: new AbortController(),
    bindLater() {},
  });
  const receivedAt = Date.now();
  const { status, headers } = answer;
  const head = { fields: fieldsOf(headers), requestedAt, receivedAt };
  if (status === 304 && kept !== undefined && notes.fallback === undefined) {
    const bytes = await wholeBody(kept.body);
    renew(asking, { stored: confirmed(kept.stored, head), bytes, kept });
    return;
  }
  const storability = judged(asking, { status, fields: head.fields, receivedAt });
  if (storability.kind === "pass" || notes.fallback !== undefined) {
    await answer.body?.cancel().catch(() => {});
    const isOver = kept !== undefined && notes.fallback === undefined && !isErrorStatus(status);
    return isOver ? forgetResponse(kept, shelvesOf(asking)) : undefined;
  }
  const bytes = await collectBody(answer, policy.maxBytes);
  if (bytes === undefined) return;
  const { freshness, tags } = storability;
  await keepLater(asking, toStored(status, head, { bodyBytes: bytes.byteLength, tags }), bytes, freshness);
}
