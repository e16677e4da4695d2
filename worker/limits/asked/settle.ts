import type { ObjectAddress } from "../../../objects/address.ts";
import { MAX_RESERVE_MS } from "../../../objects/rate-limiter/messages.ts";
import type { SettleItem, SettleMessage } from "../../../objects/rate-limiter/settle-messages.ts";
import type { RateLimit, Timeouts } from "../../../schemas/index.ts";
import { ERRORS } from "../../errors.ts";
import type { Exchange } from "../../exchange.ts";
import { codeOf } from "../../problem.ts";
import { isOverloaded } from "../../dependencies/dependency.ts";
import { callOwner, ownerOf } from "../owner.ts";
import type { ChainEnd } from "../part.ts";
import { costOfServed, dependsOnBody, type Served } from "./settled-cost.ts";

/** What an owner was asked to hold for a request until it hears what the request has cost. */
export interface Reservation {
  readonly address: ObjectAddress;
  /** All that are settled. */
  readonly limits: readonly RateLimit[];
  /**
   * What it holds; undefined: nothing. An answer that comes too late for the request holds as much, and for an hour where
   * bytes are counted: so nobody gives up on it before it is there.
   */
  readonly granted: Promise<Granted | undefined>;
  /** Called when the owner has heard what it cost: there may be more again. */
  readonly onTold: () => void;
}

/** What an owner holds. */
export interface Granted {
  /** From the reply to the take. */
  readonly id: number;
  readonly items: readonly ReservedItem[];
}

/** One limit's share, in units. */
interface ReservedItem {
  readonly limit: RateLimit;
  readonly reserved: number;
}

/** On top of the route's deadlines: the head may come at the last moment, and then the settlement is on its way. */
const SLACK_MS = 10_000;

// A settlement counts once however often it arrives, so it may be sent again. The runtime ends what is left after 30 s.
const CALL_MS = 3_000;
const PAUSES_MS = [0, 500, 3_000];

/**
 * How long the owner keeps the cost of a request under such a limit reserved. Where the head of the response tells, until
 * the head must be there; where its bytes do, an hour, since a body may last for as long as it is not idle. What is not
 * settled by then has cost what was reserved.
 */
export function reserveMsOf({ settle }: RateLimit, { total }: Timeouts): number {
  return settle?.kind === "bytes" ? MAX_RESERVE_MS : Math.min(MAX_RESERVE_MS, total + SLACK_MS);
}

/**
 * Tells the owner what a request has cost, off its path: as soon as the head of the response is known, or when its body
 * has ended, however it ended. A settlement that is lost leaves the request at what was reserved for it.
 *
 * @param end.isAbandoned the client left while the origin may have been at work.
 */
export function settleWhenKnown(
  reservation: Reservation,
  end: ChainEnd & { readonly isAbandoned: boolean },
  exchange: Exchange,
): void {
  const { limits } = reservation;
  const { cache } = exchange.notes;
  const isHit = cache === "HIT" || cache === "STALE";
  const head = { ...headOf(end, isHit ? [] : limits), isAbandoned: end.isAbandoned, isHit };
  const body = limits.some((limit) => dependsOnBody(limit, head)) ? end.body : undefined;
  const bytes = end.body === undefined ? sizeOf(end.response) : undefined;
  const served = async (): Promise<Served> => ({ ...head, bytes: body === undefined ? bytes : (await body).bytes });
  // Nobody is left to be told; the owner settles by itself with what was reserved.
  exchange.ctx.waitUntil(tellCost(reservation, served, exchange.env).catch(() => {}));
}

async function tellCost(reservation: Reservation, served: () => Promise<Served>, env: Env): Promise<void> {
  const seen = await served();
  await tell(reservation, (item) => settleItem(item, seen), env);
}

/** Gives back everything that is reserved for a request that is not let in after all. */
export function releaseReservation(reservation: Reservation, { ctx, env }: Exchange): void {
  const nothing = ({ limit }: ReservedItem): SettleItem => ({ policy: limit.id, actual: 0 });
  ctx.waitUntil(tell(reservation, nothing, env).catch(() => {}));
}

async function tell(
  { address, granted, onTold }: Reservation,
  itemOf: (item: ReservedItem) => SettleItem,
  env: Env,
): Promise<void> {
  const held = await granted;
  if (held === undefined) return;
  await send(address, held, itemOf, env);
  onTold();
}

function settleItem({ limit, reserved }: ReservedItem, served: Served): SettleItem {
  const item = { policy: limit.id, actual: costOfServed(limit, reserved, served) };
  return limit.settle === undefined ? item : { ...item, debtMax: limit.maxDebt * limit.unitsPerToken };
}

async function send(
  address: ObjectAddress,
  { id, items }: Granted,
  itemOf: (item: ReservedItem) => SettleItem,
  env: Env,
): Promise<void> {
  const message: SettleMessage = { v: 1, client: address.client, reservation: id, items: items.map(itemOf) };
  let failure: unknown;
  for (const pauseMs of PAUSES_MS) {
    if (pauseMs > 0) await scheduler.wait(pauseMs);
    try {
      await callOwner(address, () => ownerOf(env, address).settle(message), { deadlineMs: CALL_MS });
      return;
    } catch (error) {
      failure = error;
      if (isOverloaded(error)) break;
    }
  }
  throw failure;
}

/** Read at once: fields may be taken out of the response on its way to the client. */
function headOf({ response, error }: ChainEnd, limits: readonly RateLimit[]): Omit<Served, "bytes"> {
  if (response === undefined) {
    return { status: ERRORS[codeOf(error)].status, isGatewayError: true, header: () => null };
  }
  const said = new Map<string, string | null>();
  for (const { settle: rule } of limits) {
    if (rule?.kind === "header") said.set(rule.name, response.headers.get(rule.name));
  }
  return { status: response.status, isGatewayError: false, header: (name) => said.get(name) ?? null };
}

/** Of a body that is all there, or is not there at all; undefined when nobody says. */
function sizeOf(response: Response | undefined): number | undefined {
  if (response === undefined || response.body === null) return 0;
  const length = response.headers.get("content-length");
  return length === null ? undefined : Number(length);
}

/** Lower-case names of response fields that say what a request has cost and are not for the client. */
export function strippedFields(limits: readonly RateLimit[]): readonly string[] {
  return limits.flatMap(({ settle }) => (settle?.kind === "header" && settle.strip ? [settle.name] : []));
}
