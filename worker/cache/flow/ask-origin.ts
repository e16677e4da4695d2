import { answerOnFailure, isErrorStatus, type OriginFailure } from "../answer.ts";
import { whyOf, type Answered, type Asking } from "./asking.ts";
import { confirm, hearHead } from "./confirm.ts";
import { readerOf } from "../fields.ts";
import { fill } from "./fill.ts";
import { keptAnswer } from "./kept-answer.ts";
import { originTrouble } from "./origin-trouble.ts";
import { validatorsOf } from "../revalidation.ts";
import { stripCookies } from "../stored-response.ts";
import { askFlight } from "./flights.ts";
import { drop } from "../tiers/kept-body.ts";
import { forwarded, told } from "./told.ts";

/**
 * Asks the origin: whether what is kept is still right, else for the response, which is kept where it may be. Where the origin fails what
 * is stale is given instead, as far as it may be.
 *
 * @throws what the rest of the chain throws, where nothing stale may stand in.
 */
export async function askOrigin(asking: Asking): Promise<Response> {
  const { exchange, kept, candidate } = asking;
  const isAlone = exchange.canonical.method === "HEAD" || exchange.fields.endToEnd.get("range") !== null;
  let answered: Answered;
  try {
    answered = await ask(asking, isAlone);
  } catch (error) {
    const failure = originTrouble(error);
    const bridge = failure === undefined ? undefined : bridgeOver(asking, failure);
    if (bridge !== undefined) return bridge;
    if (kept !== undefined) drop(kept.body);
    throw error;
  }
  const { answer } = answered;
  if (isErrorStatus(answer.status)) {
    // What stands in says that there is no origin to be asked.
    const bridge = bridgeOver(asking, exchange.notes.fallback === undefined ? "error-status" : "unreachable");
    if (bridge !== undefined) {
      void answer.body?.cancel().catch(() => {});
      return bridge;
    }
  }
  const isFallback = exchange.notes.fallback !== undefined;
  const isOurs = !isAlone && answered.flight === undefined;
  if (isOurs && !isFallback && answer.status === 304 && kept !== undefined && candidate !== undefined) {
    // Where the tier breaks off there is nothing that the 304 could confirm.
    return (await confirm(asking, answered, kept)) ?? askOrigin({ ...asking, kept: undefined, candidate: undefined });
  }
  if (isFallback && isOurs && answer.status === 304 && kept !== undefined) {
    // A stand-in has answered our conditions, not the client's: what we keep is what it would have sent, and no fresher than before.
    return told(
      exchange,
      keptAnswer(exchange, kept.stored, kept.body, Date.now()),
      forwarded(whyOf(asking), { detail: "fallback" }),
    );
  }
  if (kept !== undefined && !isFallback && exchange.canonical.method === "HEAD") hearHead(asking, answered, kept);
  else if (kept !== undefined) drop(kept.body);
  if (!isAlone && !isFallback) return fill(asking, answered);
  answered.bind?.(answer);
  if (asking.policy.stripSetCookie) stripCookies(answer.headers);
  const detail = isFallback ? "fallback" : exchange.canonical.method === "HEAD" ? "head" : "range";
  return told(exchange, answer, forwarded(whyOf(asking), { detail }));
}

async function ask(asking: Asking, isAlone: boolean): Promise<Answered> {
  const shared = isAlone ? undefined : await askFlight(asking);
  if (shared !== undefined) return shared;
  const { next, keyed, kept } = asking;
  let bind: Answered["bind"];
  const conditions = kept === undefined ? [] : validatorsOf(readerOf(kept.stored.fields));
  // A route that keeps nothing has no use for more than this client has.
  const asked = isAlone || asking.policy.maxBytes === 0 ? keyed.alone() : keyed.fill(conditions);
  const requestedAt = Date.now();
  const answer = await next({
    ...asked,
    bindLater(later) {
      bind = later;
    },
  });
  return { answer, requestedAt, receivedAt: Date.now(), bind };
}

/** What is stale in the place of an origin that fails; undefined: it may not be given, or there is none. */
function bridgeOver({ exchange, kept, candidate, rules }: Asking, failure: OriginFailure): Response | undefined {
  const now = Date.now();
  const stale = answerOnFailure(candidate, failure, now, rules);
  if (kept === undefined || stale === undefined) return undefined;
  const answer = keptAnswer(exchange, kept.stored, kept.body, now);
  return told(exchange, answer, { kind: "hit", ttlMs: stale.ttlMs, detail: failure });
}
