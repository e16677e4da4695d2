import type { Pool } from "../../objects/connection-pool/pool.ts";
import type { BatchPolicy } from "../../schemas/index.ts";
import { check, readBody } from "../admin/body.ts";
import type { Client } from "../client.ts";
import { GatewayError } from "../errors.ts";
import type { ExchangeNotes } from "../exchange.ts";
import { problemResponse } from "../problem.ts";
import type { RequestFields } from "../request-fields.ts";
import { unlessStopped } from "../unless-stopped.ts";
import { renderAnswer, type AnswerBudget } from "./part-answer.ts";
import { BatchBodySchema, partRequest, PartsSchema, type PartInput } from "./parts.ts";
import { closePool, openPool } from "./pools.ts";

/** What a request has that came in a batch with others. */
export interface Part {
  /** Who sent the batch. */
  readonly client: Client;
  /** All that an invocation may wait for at once, which they share. */
  readonly pool: Pool;
  readonly stop: AbortController;
}

/** A batch as it came. */
export interface BatchCall {
  readonly request: Request;
  readonly fields: RequestFields;
  readonly requestId: string;
  readonly client: Client;
  readonly notes: ExchangeNotes;
  readonly ctx: ExecutionContext;
}

/** Answers one request of a batch as if it had come alone. Never rejects. */
export type AnswerPart = (request: Request, requestId: string, part: Part) => Response | Promise<Response>;

/**
 * Answers several requests that came in one, each by its whole way, and all at once as far as an invocation may wait for that many
 * (docs/guide/batch.md).
 *
 * @throws GatewayError `method-not-allowed`, `unsupported-media-type`, `invalid-request`, `payload-too-large`, `request-timeout`.
 */
export async function batch(call: BatchCall, policy: BatchPolicy, answer: AnswerPart): Promise<Response> {
  const { request, requestId, client, notes, ctx, fields } = call;
  refuseOthers(call);
  const body = await readBody(request, BatchBodySchema, policy.maxBodySize);
  if (body.requests.length > policy.maxRequests) {
    const detail = `${body.requests.length} requests in one; at most ${policy.maxRequests} are taken.`;
    throw new GatewayError("invalid-request", { detail });
  }
  const { requests } = check(body, PartsSchema);
  notes.batch = requests.length;
  const now = Date.now();
  const pool = openPool(now + policy.timeoutMs, now);
  const stops = requests.map(() => new AbortController());
  const stopAll = (why: GatewayError) => {
    for (const stop of stops) stop.abort(why);
  };
  const gone = () => stopAll(new GatewayError("invalid-request", { detail: "The client left before its answer." }));
  request.signal.addEventListener("abort", gone, { once: true });
  const timer = setTimeout(() => stopAll(tooLate(policy)), policy.timeoutMs);
  const budget: AnswerBudget = { bytes: policy.maxAnswerSize };
  const answers = requests.map((part, index) => {
    const stop = stops[index] ?? new AbortController();
    return answerPart(part, `${requestId.slice(0, 120)}-${index}`, { client, pool, stop });
  });
  const all = Promise.all(answers).finally(() => {
    clearTimeout(timer);
    request.signal.removeEventListener("abort", gone);
    closePool(pool);
    pool.close();
  });
  ctx.waitUntil(all);
  return new Response(`{"responses":[${(await all).join(",")}]}`, {
    headers: { "content-type": "application/json", "cache-control": "no-store" },
  });

  async function answerPart(input: PartInput, id: string, part: Part): Promise<string> {
    const { stop } = part;
    try {
      const answering = Promise.resolve(answer(partRequest(request, fields, input), id, part));
      // What it has to give back when it is stopped may take longer.
      ctx.waitUntil(answering);
      const response = await unlessStopped(answering, stop.signal);
      return (await renderAnswer(response, budget, stop.signal)) ?? (await rendered(tooLarge(policy), id));
    } catch (error) {
      const why: unknown = stop.signal.aborted ? stop.signal.reason : error;
      return await rendered(why instanceof GatewayError ? why : broken(error), id);
    } finally {
      // Whatever was given up on the way still waits for a head.
      stop.abort(new GatewayError("invalid-request", { detail: "This request is over." }));
    }
  }
}

/** A form or a script of another site can send text with a client's cookies, but not JSON without being asked about first (CORS). */
function refuseOthers({ request, fields }: BatchCall): void {
  const { method } = request;
  if (method !== "POST") {
    throw new GatewayError("method-not-allowed", {
      detail: `${method} is not allowed here; allowed: POST.`,
      headers: { allow: "POST" },
    });
  }
  const type = fields.get("content-type") ?? "nothing";
  if (/^application\/json\s*(?:;|$)/i.test(type)) return;
  throw new GatewayError("unsupported-media-type", {
    detail: `A batch is application/json; the Content-Type is ${type.slice(0, 100)}.`,
    headers: { accept: "application/json" },
  });
}

async function rendered(error: GatewayError, requestId: string): Promise<string> {
  const text = await renderAnswer(problemResponse(error, requestId, [["x-request-id", requestId]]), {
    bytes: Infinity,
  });
  return text ?? "null";
}

function tooLarge({ maxAnswerSize }: BatchPolicy): GatewayError {
  return new GatewayError("upstream-response-too-large", {
    detail: `All answers of a batch together may have ${maxAnswerSize} bytes of body; ask for this one outside of it.`,
  });
}

function tooLate({ timeoutMs }: BatchPolicy): GatewayError {
  return new GatewayError("upstream-timeout", {
    detail: `Its answer was not whole ${timeoutMs} ms after the batch began.`,
  });
}

function broken(cause: unknown): GatewayError {
  return new GatewayError("upstream-invalid-response", { detail: "The answer's body broke off.", cause });
}
