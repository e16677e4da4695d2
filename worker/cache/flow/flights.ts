import { addresses } from "../../../objects/address.ts";
import { purgeVerdict } from "../../../objects/control-plane/purge.ts";
import {
  readAnswer,
  type FlightAnswer,
  type FlightMessage,
  type OriginFailed,
} from "../../../objects/dedup/flight-messages.ts";
import { createLru } from "../../../objects/lru.ts";
import { ONE_TRY } from "../../../objects/one-try.ts";
import { createDependency } from "../../dependencies/dependency.ts";
import { ERRORS, GatewayError, type ErrorCode } from "../../errors.ts";
import { namingSecret } from "../../limits/client-address.ts";
import { pump } from "../../upstream/pump.ts";
import { BUFFER_BYTES } from "../../upstream/relay-answer.ts";
import { requestHeaders } from "../../upstream/request-headers.ts";
import { decidingFields } from "../../upstream/prepare-request.ts";
import { watched, type Watch } from "../../watch.ts";
import type { Exchange } from "../../exchange.ts";
import { answerOnFailure } from "../answer.ts";
import { readerOf } from "../fields.ts";
import { afterGroups, groupTagsOf } from "../groups.ts";
import { isQuota } from "../stored-response.ts";
import { tagsOf } from "../tags.ts";
import { purgeableOf, type Answered, type Asking } from "./asking.ts";
import { currentEpochs } from "./epochs.ts";
import { invalidatedHere } from "./group-invalidation.ts";
import { countFlight } from "./tally.ts";

/** An object that nobody has used before takes a few hundred milliseconds to come to life. What then follows is the origin's time. */
const BOARD_MS = 2_000;
/** Behind an answer. */
const NOTE_MS = 1_000;
/** What was asked for at most so long ago is no older than what a purge has to reach by then. */
const PURGE_MS = 2_000;

const owners = createDependency({ kind: "Dedup", remembers: 512 });

/** Keys whose responses were somebody's own when they were last seen, and until when that counts. */
const unshared = createLru<string, number>(10_000);

/** Statuses that `Response` takes no body for (Fetch, "null body status"). */
const NULL_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * Asks the owner of a key's flights for the response, which it may be giving to others too.
 *
 * @returns undefined: the request has to be made alone. Its response is nobody else's, or the owner is silent, which `degraded` says.
 * @throws GatewayError what the origin's failure is to all who waited for it.
 */
export async function askFlight(asking: Asking): Promise<Answered | undefined> {
  const { exchange, keyed, flights } = asking;
  if (flights === undefined) return undefined;
  const { notes } = exchange;
  if (isUnshared(keyed.key)) return note("alone");
  const name = await nameOf(asking);
  // What a finished flight of before a POST would give is no newer than what that has made useless.
  let freshAfter = asking.since;
  // Once more where its memory was lost, or what it had was from before a purge.
  for (let tries = 0; tries < 2; tries += 1) {
    const boarded = await board(asking, name, freshAfter);
    if (boarded === "silent") break;
    if (boarded === "lost") continue;
    const { answer, answered } = boarded;
    // Whoever asks for it there has another configuration.
    if (answer.kind === "failed" && answer.failure.code === "dependency-unavailable") break;
    switch (answer.kind) {
      case "alone":
        unshared.set(keyed.key, Date.now() + answer.forMs);
        return note("alone");
      case "stale":
        countFlight("failed");
        throw new GatewayError("upstream-timeout", { detail: "The origin failed, and there is something stale." });
      case "failed":
        countFlight("failed");
        throw errorOf(answer.failure);
      case "served":
    }
    if (answered === undefined) continue;
    const isLeader = answer.role === "leader";
    if (!isLeader && (await isPurged(asking, answered))) {
      freshAfter = answered.requestedAt;
      void answered.answer.body?.cancel().catch(() => {});
      continue;
    }
    note(isLeader ? "led" : "joined");
    if (isLeader) Object.assign(notes, answer.notes);
    return answered;
  }
  countFlight("ownerless");
  (notes.degraded ??= []).push("flights");
  return undefined;

  function note(what: "led" | "joined" | "alone"): undefined {
    countFlight(what);
    notes.flight = what;
  }
}

/** Tells the owner that its key's responses can be shared again, if they could not be. */
export function noteShareable(asking: Asking): void {
  const { exchange, keyed } = asking;
  if (!isUnshared(keyed.key)) return;
  unshared.delete(keyed.key);
  const { env, ctx } = exchange;
  const tell = async () => {
    const name = await nameOf(asking);
    const key = keyOf(asking);
    await owners.call(name, async () => ownerOf(env, name).noteShareable(key), { deadlineMs: NOTE_MS });
  };
  ctx.waitUntil(tell().catch(() => {}));
}

/** Another configuration may share what this one doesn't. */
function keyOf({ exchange, keyed }: Asking): string {
  return `${keyed.key} ${exchange.configVersion}`;
}

async function nameOf(asking: Asking): Promise<string> {
  const { env } = asking.exchange;
  const { name } = await addresses(namingSecret(env)).flight(keyOf(asking), env.CLIENT_IP_SOURCE === "socket");
  return name;
}

function isUnshared(key: string): boolean {
  return Date.now() < (unshared.get(key) ?? 0);
}

function ownerOf(env: Env, name: string) {
  return env.DEDUP.get(env.DEDUP.idFromName(name), ONE_TRY);
}

interface Boarded {
  readonly answer: FlightAnswer;
  /** Undefined where there is no response. */
  readonly answered: Answered | undefined;
}

/** Asks the owner once. "lost": it has taken the request and gone; "silent": it has not taken it. */
async function board(asking: Asking, name: string, freshAfter: number): Promise<Boarded | "lost" | "silent"> {
  const { exchange } = asking;
  const body = JSON.stringify(messageOf(asking, freshAfter));
  const signal = exchange.stop?.signal;
  const how = { method: "POST", body, encodeResponseBody: "manual", ...(signal && { signal }) } as const;
  let stream: ReadableStream<Uint8Array> | null;
  try {
    const call = () => ownerOf(exchange.env, name).fetch("https://dedup/", how);
    ({ body: stream } = await owners.call<Response>(name, call, { deadlineMs: BOARD_MS }));
  } catch {
    return "silent";
  }
  if (stream === null) return "silent";
  const taken = stream;
  try {
    return await watched((watch) => land(asking, taken, watch));
  } catch (error) {
    void taken.cancel().catch(() => {});
    if (isLate(error)) throw error;
    return "lost";
  }
}

/** Waits for what becomes of a request that is aboard. */
async function land({ exchange }: Asking, stream: ReadableStream<Uint8Array>, watch: Watch): Promise<Boarded> {
  watch.expect(exchange.deadline, late);
  const answer = await readAnswer(stream);
  if (answer.kind !== "served") return { answer, answered: undefined };
  const { status, fields, requestedAt, bytesRequestedAt, receivedAt, isKeeper, role } = answer;
  const headers = new Headers();
  for (const [field, value] of fields) if (role === "leader" || !isQuota(field)) headers.append(field, value);
  const body = await bodyOf(exchange, stream, { status, headers });
  const response = new Response(body, { status, headers, encodeBody: "manual" });
  const answered = {
    answer: response,
    requestedAt,
    bytesRequestedAt,
    receivedAt,
    bind: undefined,
    flight: isKeeper ? "keeper" : "reader",
  } as const;
  return { answer, answered };
}

/** What follows the answer. Short bodies are read whole, so that whoever loses one can ask again; others are passed on as they come. */
async function bodyOf(
  exchange: Exchange,
  stream: ReadableStream<Uint8Array>,
  { status, headers }: { readonly status: number; readonly headers: Headers },
): Promise<BodyInit | null> {
  if (NULL_BODY.has(status)) {
    await stream.cancel();
    return null;
  }
  const declared = headers.get("content-length");
  const length = Number(declared ?? Infinity);
  if (length <= BUFFER_BYTES) {
    const reader = stream.getReader({ mode: "byob" });
    // One byte more than there is: that it has ended, too, is to be seen.
    const { value } = await reader.readAtLeast(length + 1, new Uint8Array(length + 1));
    if ((value?.byteLength ?? 0) !== length) throw new Error("the owner of the flight has gone");
    return value ?? null;
  }
  if (declared === null) {
    const pipe = new IdentityTransformStream();
    const { idle: idleMs } = exchange.route.route.timeouts;
    const signal = exchange.stop?.signal ?? exchange.request.signal;
    exchange.notes.body = pump(stream, pipe.writable, { idleMs, signal });
    return pipe.readable;
  }
  // Moved by the runtime: 50 bodies of 4 MB at once grew the process by 240 MiB in JavaScript, and by 87 so. The owner sees to silence.
  const pipe = new FixedLengthStream(length);
  const how = exchange.stop === undefined ? {} : { signal: exchange.stop.signal };
  exchange.notes.body = stream.pipeTo(pipe.writable, how).then(
    () => ({ kind: "complete", bytes: length }),
    (error: unknown) => ({ kind: "source-failed", bytes: 0, error }),
  );
  return pipe.readable;
}

function messageOf(asking: Asking, freshAfter: number): FlightMessage {
  const { exchange, keyed, flights, candidate, rules } = asking;
  const { requestId, client, route, configVersion, canonical, placement } = exchange;
  const { address, forwardedFor, scheme } = client;
  const asked = keyed.fill();
  const { host, path, query } = asked.canonical;
  return {
    v: 1,
    key: keyOf(asking),
    route: route.route.id,
    configVersion,
    requestId,
    client: { address, forwardedFor },
    ...(placement && { placement }),
    url: `${scheme}://${host}${path}${query}`,
    fields: [...requestHeaders({ ...asked, canonical }, decidingFields(route.route))],
    place: placeOf(exchange),
    hasStale: answerOnFailure(candidate, "timeout", Date.now(), rules) !== undefined,
    freshAfter,
    windowMs: flights?.windowMs ?? 0,
    coalesce: flights?.coalesce ?? "fresh",
    totalMs: route.route.timeouts.total,
    idleMs: route.route.timeouts.idle,
  };
}

function placeOf({ request }: Exchange): string {
  const colo = request.cf?.["colo"];
  return typeof colo === "string" ? colo : "";
}

/**
 * Whether a response that others have asked for is from before a purge. One that began in the second after it, which counts as before for
 * as much as clocks may differ, will do for those who come at the same time: each would else ask the origin by himself.
 */
async function isPurged(
  asking: Asking,
  { answer, requestedAt, bytesRequestedAt = requestedAt }: Answered,
): Promise<boolean> {
  const { exchange, policy } = asking;
  const epochs = await currentEpochs(exchange);
  if (epochs === undefined) return false;
  const guardMs = Date.now() - requestedAt < PURGE_MS ? 1_000 : 0;
  const tags = [...tagsOf(readerOf([...answer.headers])), ...policy.tags];
  const times = { requestedAt: requestedAt + guardMs, bytesRequestedAt: bytesRequestedAt + guardMs };
  const purge = purgeVerdict({ ...times, ...purgeableOf(asking), tags }, epochs);
  if (!policy.groupInvalidation) return purge.kind !== "alive";
  const groups = groupTagsOf(`${exchange.client.scheme}://${exchange.canonical.host}`, [...answer.headers]);
  return (
    afterGroups(purge, { requestedAt, groups, guardMs: 1_000 - guardMs }, epochs, invalidatedHere).kind !== "alive"
  );
}

function errorOf({ code, detail, retryAfter, reason }: OriginFailed): GatewayError {
  const headers = retryAfter === undefined ? {} : { "retry-after": retryAfter };
  return new GatewayError(isCode(code) ? code : "internal-error", { detail, headers, cause: reason });
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

const LATE = "No response came in time, neither to this request nor to the one that it waited for.";

function late(): GatewayError {
  return new GatewayError("upstream-timeout", { detail: LATE });
}

function isLate(error: unknown): boolean {
  return error instanceof GatewayError && error.message === LATE;
}
