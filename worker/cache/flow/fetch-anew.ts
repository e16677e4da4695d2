import { purgeVerdict } from "../../../objects/control-plane/purge.ts";
import type { Exchange } from "../../exchange.ts";
import { isErrorStatus } from "../answer.ts";
import { fieldsOf, readerOf } from "../fields.ts";
import { confirmed, validatorsOf } from "../revalidation.ts";
import { servedFields } from "../served-fields.ts";
import { drop, wholeBody } from "../tiers/kept-body.ts";
import type { KeptResponse } from "../tiers/records.ts";
import { findResponse, forgetResponse } from "../tiers/shelves.ts";
import { purgeableOf, shelvesOf, type Asking } from "./asking.ts";
import { renew } from "./confirm.ts";
import { currentEpochs } from "./epochs.ts";
import { keepingOf } from "./fill.ts";

/** A whole response that the origin has just given, or has just confirmed. Times in ms since the epoch. */
export interface Anew {
  readonly answer: Response;
  readonly requestedAt: number;
  /** Earlier than that where it was confirmed. */
  readonly bytesRequestedAt: number;
  readonly receivedAt: number;
  readonly notes: Exchange["notes"];
  /** Keeps it, once its body is there whole. Undefined: that may not be, or has been done. */
  readonly keep: ((bytes: Uint8Array | undefined) => Promise<void>) | undefined;
}

/**
 * Asks the origin for a response that several may get, and that is none of theirs to wait for: for what is kept of it already the origin is
 * asked whether it is still right. What it says of that is kept, or forgotten.
 *
 * @param terms.stop ends it.
 * @param terms.isBare leaves alone what is kept.
 * @throws what the rest of the chain throws.
 */
export async function fetchAnew(
  asking: Asking,
  terms: { readonly stop: AbortController; readonly isBare?: boolean },
): Promise<Anew> {
  const { exchange, next, keyed } = asking;
  const kept = terms.isBare === true ? undefined : await confirmable(asking);
  const conditions = kept === undefined ? [] : validatorsOf(readerOf(kept.stored.fields));
  const asked = keyed.fill(conditions);
  const requestedAt = Date.now();
  const notes: Exchange["notes"] = {};
  let answer: Response;
  try {
    answer = await next({
      ...asked,
      canonical: { ...asked.canonical, method: "GET" },
      deadline: requestedAt + exchange.route.route.timeouts.total,
      responseHeaders: [],
      notes,
      stop: terms.stop,
      // What many get binds nobody.
      bindLater() {},
    });
  } catch (error) {
    exchange.notes.isSent = notes.isSent === true;
    throw error;
  }
  const receivedAt = Date.now();
  const { status, headers } = answer;
  const times = { requestedAt, bytesRequestedAt: requestedAt, receivedAt, notes };
  const head = { fields: fieldsOf(headers), requestedAt, receivedAt };
  const isStandIn = notes.fallback !== undefined;
  if (status === 304 && kept !== undefined && !isStandIn) {
    const stored = confirmed(kept.stored, head);
    const bytes = await wholeBody(kept.body).catch(() => undefined);
    // Where the tier breaks off there is nothing that the 304 could confirm.
    if (bytes === undefined) return fetchAnew(asking, { ...terms, isBare: true });
    renew(asking, { stored, bytes, kept });
    const fields = servedFields(stored, receivedAt).map(([name, value]): [string, string] => [name, value]);
    const how = { status: stored.status, headers: fields, encodeBody: "manual" } as const;
    const { bytesRequestedAt } = stored;
    return { ...times, bytesRequestedAt, answer: new Response(bytes, how), keep: undefined };
  }
  if (kept !== undefined) drop(kept.body);
  const { keep, isStored } = keepingOf(asking, { answer, requestedAt, receivedAt });
  if (isStored && !isStandIn) return { ...times, answer, keep };
  const isOver = kept !== undefined && !isStandIn && !isErrorStatus(status);
  if (isOver) exchange.ctx.waitUntil(forgetResponse(kept, shelvesOf(asking)));
  return { ...times, answer, keep: undefined };
}

/** What is kept and may be confirmed. Not what a purge has killed, nor where nobody knows of purges: its bytes would come back. */
async function confirmable(asking: Asking): Promise<KeptResponse | undefined> {
  const { exchange, keyed, policy } = asking;
  const found = await findResponse(keyed, shelvesOf(asking));
  if (found.kind !== "found") return undefined;
  const { kept } = found;
  const epochs = await currentEpochs(exchange);
  const known = { ...kept.stored, ...purgeableOf(asking), tags: [...kept.stored.tags, ...policy.tags] };
  if (epochs !== undefined && purgeVerdict(known, epochs).kind !== "dead") return kept;
  drop(kept.body);
  return undefined;
}
