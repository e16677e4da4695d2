import type { ExchangeNotes } from "../exchange.ts";
import type { FieldReader } from "../request-fields.ts";
import type { PumpEnd } from "../upstream/pump.ts";

/** What is known of an exchange, filled in as it goes. */
export interface ExchangeRecord {
  readonly request: Request;
  readonly fields: FieldReader;
  readonly requestId: string;
  readonly receivedAt: number;
  readonly notes: ExchangeNotes;
  /** Canonical path; absent when the URL was refused. */
  path?: string;
  route?: string;
  client?: string;
  /** What ended the exchange early, with the reason that clients do not see. */
  error?: unknown;
}

/** Longest path and user agent in a log line; the rest says nothing that an operator acts on. */
const MAX_TEXT = 512;

/**
 * Writes the exchange's one JSON line: at once, or when a streamed body has ended. Query values, cookies and credentials
 * are not in it; JSON escapes keep whatever a client sends on its own line.
 */
export function logExchange(record: ExchangeRecord, status: number, durationMs: number, ctx: ExecutionContext): void {
  const { body } = record.notes;
  if (body === undefined) {
    write(record, status, durationMs);
    return;
  }
  ctx.waitUntil(body.then((end) => write(record, status, Date.now() - record.receivedAt, end)));
}

function write(record: ExchangeRecord, status: number, durationMs: number, end?: PumpEnd): void {
  const { request, fields, requestId, notes, error = notes.error } = record;
  const cf = request.cf;
  const line = {
    level: status >= 500 ? "error" : "info",
    message: "exchange",
    time: new Date(record.receivedAt).toISOString(),
    requestId,
    method: request.method,
    path: record.path?.slice(0, MAX_TEXT),
    route: record.route,
    status,
    code: notes.code,
    durationMs,
    upstreamMs: notes.upstreamMs,
    place: notes.place,
    variant: notes.variant,
    target: notes.target,
    sticky: notes.sticky,
    tries: notes.retried === undefined ? undefined : notes.retried.length + 1,
    retried: notes.retried,
    retryStop: notes.retryStop,
    hedged: notes.hedged,
    refused: notes.refused,
    fallback: notes.fallback,
    egressMs: notes.egressMs,
    egress: notes.egress,
    priority: notes.priority,
    mirror: notes.mirror,
    batch: notes.batch,
    idempotency: notes.idempotency,
    cache: notes.cache,
    cacheWhy: notes.cacheWhy,
    flight: notes.flight,
    limitMs: notes.limitMs,
    degraded: notes.degraded,
    shadowed: notes.shadowed,
    body: end === undefined || end.kind === "complete" ? undefined : end.kind,
    bytes: end?.bytes,
    client: record.client,
    userAgent: fields.get("user-agent")?.slice(0, MAX_TEXT),
    ray: fields.get("cf-ray") ?? undefined,
    colo: cf?.["colo"],
    country: cf?.["country"],
    error: error === undefined ? undefined : reasonOf(error),
  };
  console.log(JSON.stringify(line));
}

/** The whole chain of causes: the message that a client saw, and what lay behind it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // An expected failure is explained by its messages; only a defect needs to show where in the code it arose.
  if (error.name !== "GatewayError") return [error.stack ?? error.message, ...causesOf(error)].join(" <- ");
  return [error.message, ...causesOf(error)].join(" <- ");
}

function causesOf({ cause }: Error): readonly string[] {
  if (cause === undefined) return [];
  return cause instanceof Error
    ? [`${cause.name}: ${cause.message}`, ...causesOf(cause)]
    : [JSON.stringify(cause) ?? "unknown"];
}
