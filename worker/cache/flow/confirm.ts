import { currentAge } from "../age.ts";
import { shelvesOf, whyOf, type Answered, type Asking } from "./asking.ts";
import { fieldsOf } from "../fields.ts";
import { judged, keepLater } from "./fill.ts";
import { keptAnswer } from "./kept-answer.ts";
import { afterHead, confirmed } from "../revalidation.ts";
import type { Storability } from "../storability.ts";
import type { StoredResponse } from "../stored-response.ts";
import { drop, wholeBody } from "../tiers/kept-body.ts";
import type { KeptResponse } from "../tiers/records.ts";
import { forgetResponse } from "../tiers/shelves.ts";
import { forwarded, told } from "./told.ts";

/**
 * Answers with what is kept after the origin has said that it is still right, and keeps or forgets it by what the 304 says of that.
 * Undefined: the tier broke off.
 */
export async function confirm(asking: Asking, answered: Answered, kept: KeptResponse): Promise<Response | undefined> {
  const { exchange, policy } = asking;
  const { answer, bind } = answered;
  let bytes: Uint8Array;
  try {
    bytes = await wholeBody(kept.body);
  } catch {
    return undefined;
  }
  const stored = confirmed(kept.stored, headOf(answered));
  const storability = renew(asking, { stored, bytes, kept });
  const now = Date.now();
  const given = keptAnswer(exchange, stored, { kind: "bytes", bytes }, now);
  // Cookies of a 304 are for this client, like those of any answer.
  if (!policy.stripSetCookie) {
    for (const cookie of answer.headers.getSetCookie()) given.headers.append("set-cookie", cookie);
  }
  const isStored = storability.kind === "store";
  if (!isStored) bind?.(given);
  const ttlMs = isStored ? storability.freshness.lifetimeMs - currentAge(stored, now) : undefined;
  const detail = isStored ? undefined : storability.why;
  return told(exchange, given, forwarded(whyOf(asking), { status: 304, isStored, ttlMs, detail }));
}

/** Learns from the answer to a HEAD what has become of what is kept for GET. */
export function hearHead(asking: Asking, answered: Answered, kept: KeptResponse): void {
  const { ctx } = asking.exchange;
  const heard = afterHead(kept.stored, answered.answer.status, headOf(answered));
  if (heard.kind !== "confirmed") {
    drop(kept.body);
    if (heard.kind === "invalid") ctx.waitUntil(forgetResponse(kept, shelvesOf(asking)));
    return;
  }
  const { stored } = heard;
  ctx.waitUntil(
    wholeBody(kept.body).then(
      (bytes) => void renew(asking, { stored, bytes, kept }),
      () => {},
    ),
  );
}

/** Keeps what has been confirmed, or forgets it where it may not be kept any more: the 304 may have said `private`. */
export function renew(
  asking: Asking,
  { stored, bytes, kept }: { readonly stored: StoredResponse; readonly bytes: Uint8Array; readonly kept: KeptResponse },
): Storability {
  const { status, fields, receivedAt } = stored;
  const storability = judged(asking, { status, fields, receivedAt });
  const work =
    storability.kind === "store"
      ? keepLater(asking, stored, bytes, storability.freshness)
      : forgetResponse(kept, shelvesOf(asking));
  asking.exchange.ctx.waitUntil(work);
  return storability;
}

function headOf({ answer, requestedAt, receivedAt }: Answered) {
  return { fields: fieldsOf(answer.headers), requestedAt, receivedAt };
}
