import type { Backend } from "../../schemas/index.ts";
import { p95Of } from "../balance/target-load.ts";
import type { Watch } from "../watch.ts";
import { headOf, land, noteRetryAfter, saysWhen, type Flight, type Outgoing, type RouteTarget } from "./flight.ts";
import { originFailure } from "./origin-failure.ts";
import type { Head } from "./one-try.ts";
import { allowance } from "./retry-allowance.ts";

/** Waits for the head of a flight, and of a second one where that takes long. */
export interface Hedge {
  /** Notes a request that may be hedged: each earns its share of a second flight. */
  note(now: number): void;
  /**
   * The head that is worth having, of whichever flight brings it first. Lands a flight that failed meanwhile; the loser is its
   * caller's to land.
   *
   * @throws GatewayError as `headOf` does, where no flight brings a head.
   */
  bringHead(outgoing: Outgoing, race: Race, second: LaunchSecond): Promise<Head>;
}

/** What a race between two flights takes. */
export interface Race {
  /** The first flight; the second is added to it, and shares its deadline. */
  readonly flights: Flight[];
  readonly watch: Watch;
  /** Answers that are worth another try, beside 5xx. */
  readonly retried: ReadonlySet<number>;
}

/** Launches the second flight; undefined: there is no target for it. */
type LaunchSecond = () => Promise<Flight | undefined>;

type Ended = Head | { readonly flight: Flight; readonly error: unknown };

/** Methods that ask for nothing but an answer: two are one. */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD"]);
/** The deadline is the first flight's. */
const UNWATCHED: Watch = { expect() {} };

/** Whether a request may be sent to two targets at once. Not a handshake: both would open a session. */
export function isHedgeable({ exchange, body }: Outgoing): boolean {
  return exchange.isUpgrade !== true && SAFE.has(exchange.canonical.method) && body.body === null;
}

/** Compiles a backend's hedging; undefined: it has none. */
export function compileHedge({ name, hedge }: Backend, targets: readonly RouteTarget[]): Hedge | undefined {
  if (hedge === undefined) return undefined;
  const { afterMs, budget } = hedge;
  const allowed = allowance(`hedge:${name}`, { ratio: budget, perSecond: 0 }, targets);

  /** Whether a second flight would be of use: it finds out no more of a target that is suspected, and loads it twice. */
  function mayHedge({ attempt, target }: Flight): boolean {
    const { view } = target.state;
    return (
      attempt?.probe === undefined && (view === undefined || view.kind === "closed" || view.kind === "forced-closed")
    );
  }

  async function bringHead(outgoing: Outgoing, { flights, watch, retried }: Race, second: LaunchSecond): Promise<Head> {
    const [first] = flights;
    if (first === undefined) throw new Error("a race begins with a flight");
    const { exchange } = outgoing;
    const firstEnd = endOf(headOf(outgoing, first, watch), first);
    const waitMs = afterMs === "p95" ? p95Of(first.target.state.load, first.sentAt) : afterMs;
    if (waitMs === undefined || !mayHedge(first)) return headIn(await firstEnd);
    const early = await Promise.race([firstEnd, scheduler.wait(waitMs).then(() => undefined)]);
    if (early !== undefined || !mayHedge(first) || !allowed.take(Date.now())) return headIn(early ?? (await firstEnd));
    const launching = second();
    const needless = firstEnd.then((end) => (isWorthHaving(end, retried) ? undefined : launching));
    const other = await Promise.race([launching, needless]);
    if (other === undefined) {
      exchange.ctx.waitUntil(launching.then((late) => late && callOff(outgoing, late)).catch(() => {}));
      return headIn(await firstEnd);
    }
    flights.push(other);
    // The time of both was over while a target was looked for.
    if (first.isOver) callOff(outgoing, other);
    const otherEnd = endOf(headOf(outgoing, other, UNWATCHED), other);
    const sooner = await Promise.race([firstEnd, otherEnd]);
    const end = isWorthHaving(sooner, retried) ? sooner : await instead(sooner);
    if (end.flight === other && "error" in end) landFailed(outgoing, end);
    exchange.notes.hedged = end.flight === other ? "won" : "lost";
    return headIn(end);

    /** One has failed, so that the answer is the other's, whatever that is; or the error, where the other has none. */
    async function instead(failed: Ended): Promise<Ended> {
      landFailed(outgoing, failed);
      const last = await (failed.flight === first ? otherEnd : firstEnd);
      if ("error" in failed) return last;
      if ("error" in last && originFailure(last.error) !== undefined) {
        landFailed(outgoing, last);
        return { ...failed, isNoted: true };
      }
      void failed.response.body?.cancel().catch(() => {});
      return last;
    }
  }

  return { note: (now) => allowed.note(now), bringHead };
}

function endOf(head: Promise<Response>, flight: Flight): Promise<Ended> {
  return head.then(
    (response) => ({ response, flight }),
    (error: unknown) => ({ error, flight }),
  );
}

function headIn(end: Ended): Head {
  if ("error" in end) throw end.error;
  return end;
}

function isWorthHaving(end: Ended, retried: ReadonlySet<number>): boolean {
  return "response" in end && end.response.status < 500 && !retried.has(end.response.status);
}

/** Ends a flight of which nothing was sent yet. */
export function callOff(outgoing: Outgoing, flight: Flight): void {
  flight.leave?.giveBack();
  land(outgoing, flight, { kind: "aborted" });
}

function landFailed(outgoing: Outgoing, end: Ended): void {
  const { flight } = end;
  if ("error" in end) {
    const error = originFailure(end.error);
    return land(outgoing, flight, error === undefined ? { kind: "aborted" } : { kind: "error", error });
  }
  const { status } = end.response;
  const now = Date.now();
  const durationMs = now - flight.sentAt;
  noteRetryAfter(flight, end.response, now);
  land(outgoing, flight, { kind: "response", status, hasRetryAfter: saysWhen(end.response, now), durationMs });
}
