import type { HealthFinding } from "../../objects/circuit-breaker/health-messages.ts";
import type { HealthCheck } from "../../schemas/index.ts";
import { GatewayError, type ErrorCode } from "../errors.ts";
import { watched, type Watch } from "../watch.ts";
import { fetchUpstream } from "./fetch.ts";
import { NOTHING } from "./request-body.ts";
import { compileTargetUrl } from "./target-url.ts";

/** How much of a body is looked into: a page that says "ok" later than that is no health check. */
const MAX_BODY_BYTES = 65_536;

/** Operators read these beside a time; the sentence that a client gets says no more. */
const FAILURES: Partial<Record<ErrorCode, string>> = {
  "upstream-unreachable": "no connection, or no HTTP",
  "upstream-timeout": "no answer in time",
  "upstream-invalid-response": "the answer is not valid HTTP",
};

/**
 * Probes a target once. A redirect is an answer like any other and is not followed; a body is read only where something is
 * expected of it, up to 64 KiB. Everything together takes at most `timeoutMs`, after which nothing is left open.
 *
 * Never rejects for anything that a target does.
 */
export async function checkHealth(target: string, check: HealthCheck, requestId: string): Promise<HealthFinding> {
  const startedAt = Date.now();
  const stop = new AbortController();
  const seen: Seen = { status: null };
  try {
    const problem = await watched((watch) => probe(target, check, { startedAt, requestId, stop, seen, watch }));
    return finding(problem);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return finding(FAILURES[error.code] ?? error.code);
  } finally {
    // After the deadline too, when nobody waits for the answer any more.
    stop.abort();
  }

  function finding(problem: string | undefined): HealthFinding {
    const { status } = seen;
    const detail = problem ?? `status ${status}`;
    return { ok: problem === undefined, status, durationMs: Math.max(0, Date.now() - startedAt), detail };
  }
}

interface Seen {
  status: number | null;
}

interface Probe {
  readonly startedAt: number;
  readonly requestId: string;
  readonly stop: AbortController;
  readonly seen: Seen;
  readonly watch: Watch;
}

/** What is wrong with a target, or undefined. */
async function probe(
  target: string,
  check: HealthCheck,
  { startedAt: sentAt, requestId, stop, seen, watch }: Probe,
): Promise<string | undefined> {
  const { path, method, timeoutMs, statuses, bodyIncludes } = check;
  const deadline = sentAt + timeoutMs;
  const response = await fetchUpstream(
    {
      url: compileTargetUrl({ kind: "pattern", value: "" }, target)(path, ""),
      method,
      headers: headersOf(check, requestId),
      body: NOTHING,
      timeouts: { headers: timeoutMs, total: timeoutMs, idle: timeoutMs, requestBody: timeoutMs },
      sentAt,
      deadline,
      signal: stop.signal,
    },
    watch,
  );
  const { status, body, headers } = response;
  seen.status = status;
  if (!statuses.some(({ from, to }) => status >= from && status <= to)) {
    await body?.cancel();
    return `status ${status}`;
  }
  if (bodyIncludes === undefined) {
    await body?.cancel();
    return undefined;
  }
  const coding = headers.get("content-encoding");
  if (coding !== null && coding !== "identity") {
    await body?.cancel();
    return `status ${status}, but its body is coded as ${coding.slice(0, 20)}`;
  }
  watch.expect(deadline, () => new GatewayError("upstream-timeout", { detail: "The body was not there in time." }));
  const isThere = body !== null && (await includes(body, bodyIncludes));
  return isThere ? undefined : `status ${status}, but its body does not include the expected text`;
}

function headersOf({ bodyIncludes }: HealthCheck, requestId: string): Headers {
  const headers = new Headers({ "user-agent": "sluice-health-check", "x-request-id": requestId });
  // Codings are passed on as they come, and nothing can be found in a coded body.
  if (bodyIncludes !== undefined) headers.set("accept-encoding", "identity");
  return headers;
}

/** Reads until a text is found or the body has shown its first 64 KiB; what is left is cancelled. */
async function includes(body: ReadableStream<Uint8Array>, wanted: string): Promise<boolean> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      // The text may begin in one piece and end in the next.
      const from = Math.max(0, text.length - wanted.length);
      text += done ? decoder.decode() : decoder.decode(value.subarray(0, MAX_BODY_BYTES - bytes), { stream: true });
      if (text.includes(wanted, from)) return true;
      if (done) return false;
      bytes += value.byteLength;
      if (bytes >= MAX_BODY_BYTES) return false;
    }
  } catch (cause) {
    throw new GatewayError("upstream-invalid-response", { detail: "The body was cut off.", cause });
  } finally {
    // A body that has failed cannot be cancelled, and there is nothing to learn from that.
    await reader.cancel().catch(() => {});
  }
}
