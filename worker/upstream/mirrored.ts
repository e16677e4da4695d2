import type { Backend, MirrorSettings, Route, Timeouts } from "../../schemas/index.ts";
import { begin, countInFlight, finish, noneInFlight, type InFlight } from "../balance/in-flight.ts";
import { weightedRandom } from "../balance/weighted-random.ts";
import type { Exchange } from "../exchange.ts";
import { fetchUpstream } from "./fetch.ts";
import { NOTHING, type OutgoingBody } from "./request-body.ts";
import type { Send } from "./prepare-request.ts";
import type { Outgoing } from "./flight.ts";
import { compileTargetUrl, type TargetUrl } from "./target-url.ts";
import { takeTurn } from "./turn.ts";
import type { Watch } from "../watch.ts";
import { mayMirror, type MirroredBody, type MirrorSkip } from "../mirror/may-mirror.ts";

/** What became of a route's copies in this isolate. */
export interface MirrorReport {
  readonly route: string;
  readonly backend: string;
  readonly inFlight: number;
  readonly sent: number;
  /** Of those: answered at all; not answered, or not in time. */
  readonly answered: number;
  readonly failed: number;
  readonly skipped: Readonly<Record<MirrorSkip, number>>;
}

type Counts = { -readonly [Name in "sent" | "answered" | "failed"]: number } & {
  readonly backend: string;
  readonly copies: InFlight;
  readonly skipped: Record<MirrorSkip, number>;
};

/** What a copy is told from its original by; a client's own is never passed on. */
const MARK = "x-sluice-mirror";

const known = new Map<string, Counts>();

/** Forgets what became of the copies of all other routes. */
export function retainMirrors(routes: readonly Route[]): void {
  const ids = new Set(routes.filter(({ mirror }) => mirror !== undefined).map(({ id }) => id));
  for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
}

/** The mirrors that requests of this isolate have met. */
export function mirrorReports(now: number): readonly MirrorReport[] {
  return Array.from(known, ([route, { copies, skipped, ...counts }]) => ({
    route,
    ...counts,
    inFlight: countInFlight(copies, now),
    skipped: { ...skipped },
  }));
}

/**
 * Sends copies of a route's requests to its shadow backend: each once the head of the answer is there, or won't come. The answer waits
 * for nothing of that, and nothing of it is changed.
 *
 * @param own the backend that the requests go to.
 */
export function mirrored(
  { mirror, id, path, timeouts }: Route,
  {
    own,
    backends,
    send,
  }: { readonly own: Backend; readonly backends: ReadonlyMap<string, Backend>; readonly send: Send },
): Send {
  const shadow = mirror === undefined ? undefined : backends.get(mirror.backend);
  if (mirror === undefined || shadow === undefined || shadow === own) return send;
  const urls = shadow.targets.map(({ url }) => compileTargetUrl(path, url));
  const terms: CopyTerms = { mirror, shadow, urls, timeouts };

  return async (exchange, headers, body) => {
    try {
      return await send(exchange, headers, body);
    } finally {
      const { isSent, fallback } = exchange.notes;
      // Another backend's work in the place of its own is no request of this one.
      if (isSent === true && fallback === undefined) offer(exchange, headers, body);
    }
  };

  function offer(exchange: Exchange, headers: Headers, body: OutgoingBody): void {
    const { fields, canonical, notes, ctx } = exchange;
    const counts = countsOf(id, terms);
    const asked = { method: canonical.method, isUpgrade: fields.get("upgrade") !== null, body: kindOf(body) };
    const decision = mayMirror(asked, terms.mirror, countInFlight(counts.copies, Date.now()), Math.random());
    if (decision.kind === "skip") {
      counts.skipped[decision.why] += 1;
      if (decision.why !== "not-sampled") notes.mirror = decision.why;
      return;
    }
    notes.mirror = "sent";
    counts.sent += 1;
    ctx.waitUntil(copy({ exchange, headers, body }, terms, counts));
  }
}

interface CopyTerms {
  readonly mirror: MirrorSettings;
  readonly shadow: Backend;
  readonly urls: readonly TargetUrl[];
  readonly timeouts: Timeouts;
}

const LONGEST_BATCH_MS = 600_000;
const UNWATCHED: Watch = { expect() {} };

/** Sends one copy, to one of the shadow's targets by lot, and lets go of whatever it answers. Never rejects. */
async function copy({ exchange, headers, body }: Outgoing, terms: CopyTerms, counts: Counts): Promise<void> {
  const { canonical } = exchange;
  const { mirror, shadow, urls, timeouts } = terms;
  const { pool } = exchange;
  const call = begin(counts.copies, mirror.timeoutMs + (pool === undefined ? 0 : LONGEST_BATCH_MS), Date.now());
  // A silent shadow would hold the turns that others of the batch wait for.
  await pool?.over;
  // The answer goes its way first: this turn of the event loop is the client's.
  await scheduler.wait(0);
  const sentAt = Date.now();
  const deadline = sentAt + mirror.timeoutMs;
  const turn = await takeTurn({ pool, deadline }, shadow.name, true);
  try {
    if (typeof turn !== "function") throw new Error("no connection became free");
    const urlOf = urls[weightedRandom(shadow.targets, Math.random()) ?? 0];
    if (urlOf === undefined) throw new Error(`backend ${shadow.name} has no target`);
    const fields = new Headers(headers);
    for (const name of mirror.removeHeaders) fields.delete(name);
    fields.set(MARK, "1");
    const request = {
      url: urlOf(canonical.path, canonical.query),
      method: canonical.method,
      headers: fields,
      body: { ...NOTHING, body: body.body },
      timeouts,
      sentAt,
      deadline,
      signal: AbortSignal.timeout(Math.max(0, deadline - Date.now())),
    };
    const answer = await fetchUpstream(request, UNWATCHED);
    counts.answered += 1;
    // An unread body would keep its connection.
    void answer.body?.cancel().catch(() => {});
  } catch {
    counts.failed += 1;
  } finally {
    if (typeof turn === "function") turn();
    finish(counts.copies, call);
  }
}

function kindOf({ body }: OutgoingBody): MirroredBody {
  if (body === null) return NO_BODY;
  return body instanceof ArrayBuffer ? { kind: "kept", bytes: body.byteLength } : STREAMED;
}

const NO_BODY: MirroredBody = { kind: "none" };
const STREAMED: MirroredBody = { kind: "streamed" };

function countsOf(id: string, { mirror }: CopyTerms): Counts {
  const counts = known.get(id);
  if (counts?.backend === mirror.backend) return counts;
  const skipped = {
    "not-sampled": 0,
    method: 0,
    upgrade: 0,
    "body-not-kept": 0,
    "body-too-long": 0,
    "too-many": 0,
  };
  const fresh: Counts = { backend: mirror.backend, copies: noneInFlight(), sent: 0, answered: 0, failed: 0, skipped };
  known.set(id, fresh);
  return fresh;
}
