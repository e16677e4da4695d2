import type { ObjectAddress } from "../../../objects/address.ts";
import { arrive, turnAway, type Arrival } from "../../../objects/rate-limiter/leases/lease.ts";
import type { Exchange } from "../../exchange.ts";
import { clientAddress } from "../client-address.ts";
import { compileCosts } from "../cost-of-request.ts";
import { returnLease } from "./lease-calls.ts";
import { isSilent } from "./lease-place.ts";
import { findEntry, makeEntry, shortName, type LeaseTerms, type TableEntry } from "./lease-table.ts";
import { leasedClaim } from "./leased-claim.ts";
import { askOnce, conclude, decideWithoutOwner, timeLeft, type Visit } from "./leased-visit.ts";
import { limitItem, type LimitGroup } from "../limit-group.ts";
import { leftAlone } from "../owner.ts";
import type { Outcome, Part } from "../part.ts";

/** Limits of one identity that this isolate works off a lease. */
export interface LeasedPart extends Part {
  /**
   * Decides when there is no other part: in one synchronous step from what is held or known, else in one call in which
   * the owner decides and lends at once.
   */
  readonly decide: (exchange: Exchange, startedAt: number) => Outcome | Promise<Outcome>;
}

/** @param tableEntries the most clients that this isolate remembers, under whatever limits. */
export function leasedPart(group: LimitGroup, tableEntries: number): LeasedPart {
  const { limits, by, clients, deadlineMs } = group;
  const terms = termsOf(group);
  const costsOf = compileCosts(limits);

  function visit(address: ObjectAddress, exchange: Exchange, startedAt: number): Visit {
    const entry = findEntry(terms, address, exchange.configVersion) ?? newEntry(terms, address, exchange, tableEntries);
    return { entry, limits, exchange, costs: costsOf(exchange), startedAt, deadlineMs };
  }

  return {
    kind: "leased",
    limits,
    open(exchange, startedAt) {
      const address = clientAddress(exchange, by, clients);
      if (!(address instanceof Promise)) return leasedClaim(visit(address, exchange, startedAt));
      return address.then((found) => leasedClaim(visit(found, exchange, startedAt)));
    },
    decide(exchange, startedAt) {
      const address = clientAddress(exchange, by, clients);
      if (!(address instanceof Promise)) return decideAt(visit(address, exchange, startedAt), startedAt);
      return address.then((found) => decideAt(visit(found, exchange, startedAt), Date.now()));
    },
  };
}

function termsOf({ limits, by, clients, evenIfBanned }: LimitGroup): LeaseTerms {
  const borrowed = limits.map(limitItem);
  const name = shortName(JSON.stringify([by, clients, limits.map(({ id }) => id)]));
  const signature = JSON.stringify([borrowed, limits.map((limit) => limit.name), evenIfBanned]);
  return { limits, borrowed, name, evenIfBanned, signature };
}

function newEntry(terms: LeaseTerms, address: ObjectAddress, exchange: Exchange, tableEntries: number): TableEntry {
  const { entry, gone } = makeEntry(terms, address, exchange.configVersion, tableEntries);
  for (const one of gone) returnLease(one, exchange);
  return entry;
}

function decideAt(visit: Visit, now: number): Outcome | Promise<Outcome> {
  const { entry, costs, exchange } = visit;
  if (isSilent(entry, exchange, now)) {
    // Nothing is to be returned to it either, so the message is not even made.
    const refused = turnAway(entry.borrower, costs, now);
    return refused === undefined ? decideWithoutOwner(visit, leftAlone()) : conclude(visit, refused, now);
  }
  const arrival = arrive(entry.borrower, costs, now);
  if (arrival.kind === "ask" || arrival.kind === "wait") return decideByCall(visit, arrival);
  return conclude(visit, arrival, now);
}

/** Makes the call that is needed, or looks again and again whether one that another request made has brought it. */
async function decideByCall(visit: Visit, first: Arrival): Promise<Outcome> {
  const { entry, costs, exchange, startedAt } = visit;
  let arrival = first;
  for (;;) {
    if (arrival.kind === "admitted" || arrival.kind === "refused") return conclude(visit, arrival, Date.now());
    if (arrival.kind === "ask") {
      const answered = await askOnce(visit, arrival.message);
      return answered.kind === "heard" ? answered.outcome : decideWithoutOwner(visit, answered.cause);
    }
    const leftMs = timeLeft(visit);
    if (leftMs <= 0) return decideWithoutOwner(visit, new Error("another request's call brought nothing in time"));
    if (isSilent(entry, exchange, Date.now())) {
      return decideWithoutOwner(visit, leftAlone());
    }
    await scheduler.wait(Math.min(arrival.pollMs, leftMs));
    const now = Date.now();
    arrival = arrive(entry.borrower, costs, now, Math.max(1, now - startedAt));
  }
}
