import { readIdempotencyKey } from "../../objects/dedup/idempotency-key.ts";
import type { IdempotencySettings } from "../../schemas/index.ts";
import { fillBody } from "../cache/flow/fill-body.ts";
import { GatewayError } from "../errors.ts";
import type { Exchange, Handler, Step } from "../exchange.ts";
import { identify } from "../idempotency/identify.ts";
import { keyOwner, type KeyOwner } from "../idempotency/key-owner.ts";
import { outcomeOf, replayed, type Outcome } from "../idempotency/outcome.ts";
import { keyInvalid, keyMissing, notRecorded, refusalOf } from "../idempotency/refusals.ts";
import { wholeBody } from "../idempotency/whole-body.ts";
import { stopReason } from "../upstream/fetch.ts";

/** After the exchange's deadline, by which the answer is there or given up: to settle it, with every try that this takes. */
const TO_SETTLE_MS = 5_000;

/**
 * Sees to it that a request with an idempotency key has one effect (docs/guide/idempotency.md). Nothing is sent before it is durable
 * that it may have been, and nothing is answered before the answer is.
 *
 * A request whose client leaves comes to its end all the same: whoever asks again is to get its answer.
 */
export function idempotency(settings: IdempotencySettings): Step {
  const { header, required, shadow } = settings;
  const methods = new Set(settings.methods);

  return function idempotencyStep(exchange, next) {
    const { canonical, fields } = exchange;
    if (!methods.has(canonical.method)) return next(exchange);
    const read = readIdempotencyKey(fields.endToEnd.get(header));
    if (read.kind === "key") return (shadow ? watch : once)(exchange, next, { key: read.key, settings });
    if (read.kind === "none" && !required) return next(exchange);
    const refusal = read.kind === "none" ? keyMissing(header) : keyInvalid(header, read);
    if (!shadow) throw refusal;
    note(exchange, refusal.code);
    return next(exchange);
  };
}

interface Keyed {
  readonly key: string;
  readonly settings: IdempotencySettings;
}

async function once(exchange: Exchange, next: Handler, { key, settings }: Keyed): Promise<Response> {
  const body = await wholeBody(exchange, settings);
  const { owner, fingerprint } = await identify(exchange, key, { settings, body });
  const answering = claimAndSend(outliving(exchange, body, settings), next, {
    owner: keyOwner(exchange, owner),
    fingerprint,
    settings,
  });
  exchange.ctx.waitUntil(answering.catch(() => {}));
  return answering;
}

/** The same in shadow mode: whatever comes is sent, and what would not have been is named in the log. */
async function watch(exchange: Exchange, next: Handler, { key, settings }: Keyed): Promise<Response> {
  const { request, fields } = exchange;
  const length = fields.get("content-length");
  const isShort = length !== null && Number(length) <= settings.maxBodySize;
  // Nothing is known of one that is not read whole, and to read it could refuse it.
  if (request.body !== null && !isShort) return next(exchange);
  const body = await wholeBody(exchange, settings);
  const { owner, fingerprint } = await identify(exchange, key, { settings, body });
  const { isSentOnce: _isSentOnce, ...seen } = outliving(exchange, body, settings);
  const asked = keyOwner(exchange, owner);
  const { ttlMs, onUnknown } = settings;
  const deadlineMs = Math.max(1, exchange.deadline - Date.now()) + TO_SETTLE_MS;
  const reply = await asked.claim(fingerprint, { ttlMs, onUnknown, deadlineMs }).catch(() => undefined);
  if (reply?.kind === "run") return sendAndTell(seen, next, { owner: asked, settings });
  if (reply === undefined) (exchange.notes.degraded ??= []).push("idempotency");
  else note(exchange, reply.kind === "replay" ? "replayed" : refusalOf(reply).code);
  return next(seen);
}

/** Sends it, and tells behind the answer what came of it: the answer goes out as it comes, as it would without a key. */
async function sendAndTell(
  exchange: Exchange,
  next: Handler,
  { owner, settings: { maxAnswerSize } }: Pick<Claiming, "owner" | "settings">,
): Promise<Response> {
  const { ctx, notes } = exchange;
  const settle = (...told: Parameters<KeyOwner["settle"]>) => owner.settle(...told).catch(() => {});
  let answer: Response;
  try {
    answer = await next(exchange);
  } catch (error) {
    ctx.waitUntil(settle(notes.isSent === true ? "unknown" : "not-sent"));
    throw error;
  }
  const { body, whole } = fillBody(answer, maxAnswerSize);
  const tell = async () => {
    const bytes = await whole;
    if (bytes === undefined) return settle("unknown");
    const { outcome, kept } = await outcomeOf(exchange, new Response(body && bytes, answer), maxAnswerSize);
    return settle(outcome, kept);
  };
  ctx.waitUntil(tell().catch(() => {}));
  const { status, statusText, headers } = answer;
  return new Response(body, { status, statusText, headers, encodeBody: "manual" });
}

function note({ notes }: Exchange, what: string): void {
  (notes.shadowed ??= []).push(what.startsWith("idempotency") ? what : `idempotency-${what}`);
}

interface Claiming {
  readonly owner: KeyOwner;
  readonly fingerprint: string;
  readonly settings: IdempotencySettings;
}

async function claimAndSend(
  exchange: Exchange,
  next: Handler,
  { owner, fingerprint, settings }: Claiming,
): Promise<Response> {
  const { ttlMs, onUnknown } = settings;
  const deadlineMs = Math.max(1, exchange.deadline - Date.now()) + TO_SETTLE_MS;
  const reply = await owner.claim(fingerprint, { ttlMs, onUnknown, deadlineMs });
  if (reply.kind === "run") return send(exchange, next, { owner, settings });
  if (reply.kind !== "replay") throw refusalOf(reply);
  exchange.notes.idempotency = "replayed";
  return replayed(reply.answer);
}

async function send(
  exchange: Exchange,
  next: Handler,
  { owner, settings }: Pick<Claiming, "owner" | "settings">,
): Promise<Response> {
  const { notes, stop, deadline } = exchange;
  const timer = setTimeout(() => stop?.abort(tooLate()), Math.max(0, deadline - Date.now()));
  let outcome: Outcome;
  try {
    const reason = stopReason(stop?.signal) ?? (Date.now() < deadline ? undefined : tooLate());
    if (reason !== undefined) throw reason;
    outcome = await outcomeOf(exchange, await next(exchange), settings.maxAnswerSize);
  } catch (error) {
    const isReleased = notes.isSent !== true;
    notes.idempotency = isReleased ? "released" : "unknown";
    // What cannot be told is unknown when the attempt's time is over.
    await owner.settle(isReleased ? "not-sent" : "unknown").catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
  notes.idempotency = NOTES[outcome.outcome];
  try {
    await owner.settle(outcome.outcome, outcome.kept);
  } catch (error) {
    void outcome.answer.body?.cancel().catch(() => {});
    throw notRecorded(error);
  }
  return outcome.answer;
}

const NOTES = {
  stored: "kept",
  "too-large": "too-large",
  "not-sent": "released",
  unknown: "unknown",
} as const;

/**
 * The exchange as what follows sees it: it does not end with its client, has its body whole, and is not sent again on the strength of
 * its key, for which the origin may not care; where an effect that comes twice does no harm, it may be.
 */
function outliving(exchange: Exchange, body: ArrayBuffer | undefined, { onUnknown }: IdempotencySettings): Exchange {
  const { url, method, headers, cf } = exchange.request;
  // A batch stops what it holds with its client; who has a permit has to give it up.
  const isBatchs =
    exchange.pool !== undefined &&
    exchange.route.route.rateLimits.every(({ algorithm }) => algorithm !== "concurrency");
  return {
    ...exchange,
    request: new Request(url, { method, headers, ...(cf === undefined ? {} : { cf }) }),
    ...(body === undefined ? {} : { body }),
    isSentOnce: onUnknown === "refuse",
    // Whoever has made one, to give up a permit, still ends the way to the origin by it.
    stop: (isBatchs ? undefined : exchange.stop) ?? new AbortController(),
  };
}

function tooLate(): GatewayError {
  return new GatewayError("upstream-timeout", { detail: "The origin's answer was not there whole in time." });
}
