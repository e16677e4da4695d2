import type { ObjectAddress } from "../../../objects/address.ts";
import { isRefusing } from "../../../objects/rate-limiter/permits/permit-borrower.ts";
import type { Exchange } from "../../exchange.ts";
import { clientAddress } from "../client-address.ts";
import { labelOf, type Verdict } from "../headers.ts";
import type { LimitGroup } from "../limit-group.ts";
import { READY, type Claim, type Outcome, type Part, type Prepared } from "../part.ts";
import { givePermitsBack } from "./permit-calls.ts";
import { findPermits, type PermitEntry } from "./permit-table.ts";
import { obtainPermit, type PermitAnswer, type PermitVisit } from "./permit-visit.ts";

/**
 * What a refused request is told to wait: nobody knows when an operation ends, but a permit that nobody uses is with its
 * owner again within this time.
 */
const RETRY_AFTER_MS = 1_000;

/**
 * Limits of one identity on requests in flight (`algorithm: "concurrency"`). A request is in flight from its admission until
 * its answer has been sent whole, or until it ended in any other way (docs/design/permits.md).
 *
 * @param tableEntries the most clients that this isolate remembers, under whatever limits.
 */
export function permitsPart(group: LimitGroup, tableEntries: number): Part {
  const { limits, by, clients, deadlineMs } = group;
  function claimAt(address: ObjectAddress, exchange: Exchange, startedAt: number): Claim {
    const terms = { configVersion: exchange.configVersion, capacity: tableEntries };
    const visits = limits.map((limit): PermitVisit => {
      const { entry, gone } = findPermits(limit, address, terms);
      for (const one of gone) givePermitsBack(one, exchange);
      return { limit, entry, exchange, startedAt, deadlineMs };
    });
    return claim(visits);
  }
  return {
    kind: "permits",
    limits,
    open(exchange, startedAt) {
      const address = clientAddress(exchange, by, clients);
      if (!(address instanceof Promise)) return claimAt(address, exchange, startedAt);
      return address.then((found) => claimAt(found, exchange, startedAt));
    },
  };
}

function claim(visits: readonly PermitVisit[]): Claim {
  let answers: readonly PermitAnswer[] = [];

  function endAll(): void {
    for (const { held } of answers) held?.end();
  }
  function conclude(all: readonly PermitAnswer[]): Prepared {
    answers = all;
    if (!all.some(isInTheWay)) return READY;
    endAll();
    return { kind: "refused", ...outcomeOf(all) };
  }
  return {
    refusal(now) {
      const known = visits.map((visit) => {
        const allowed = !isRefusing(visit.entry.borrower, now);
        return { visit, allowed, held: undefined, isDegraded: false };
      });
      return known.some(isInTheWay) ? { kind: "refused", ...outcomeOf(known) } : undefined;
    },
    prepare() {
      const [only, ...others] = visits;
      if (only === undefined || others.length > 0) return obtainAll(visits).then(conclude);
      const answer = obtainPermit(only);
      return answer instanceof Promise ? answer.then((one) => conclude([one])) : conclude([answer]);
    },
    isReady: () => answers.length > 0,
    commit: () => outcomeOf(answers),
    release() {
      endAll();
      return outcomeOf(answers).verdicts;
    },
    finish({ body }) {
      if (body === undefined) endAll();
      else void body.then(endAll);
    },
  };
}

async function obtainAll(visits: readonly PermitVisit[]): Promise<readonly PermitAnswer[]> {
  // Settled, not all: when one fails, what the others hold has to be known to be given back.
  const settled = await Promise.allSettled(visits.map(async (visit) => obtainPermit(visit)));
  const failure = settled.find((one) => one.status === "rejected");
  const answers = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  if (failure === undefined) return answers;
  for (const { held } of answers) held?.end();
  throw failure.reason;
}

function isInTheWay({ visit, allowed }: PermitAnswer): boolean {
  return !allowed && !visit.limit.shadow;
}

function outcomeOf(answers: readonly PermitAnswer[]): Outcome {
  const verdicts = answers.map(verdictOf);
  const degraded = answers.filter(({ isDegraded }) => isDegraded);
  if (degraded.length === 0) return { verdicts };
  return { verdicts, degraded: degraded.map(({ visit: { limit } }) => `${limit.id}: ${limit.onError}`) };
}

function verdictOf({ visit: { limit, entry }, allowed, isDegraded }: PermitAnswer): Verdict {
  // Routes that share a limit have one statement of it each, all alike; a newer configuration has another.
  const label = entry.labelled === limit ? entry.label : labelOf(limit, entry.address.client);
  if (!allowed) return { limit, label, allowed, remaining: 0, retryAfterMs: RETRY_AFTER_MS };
  return { limit, label, allowed, remaining: isDegraded ? 0 : freePermits(entry), retryAfterMs: 0 };
}

/** What this isolate has to itself, and what the owner had when it was last asked. */
function freePermits({ borrower: { lease, free } }: PermitEntry): number {
  return Math.max(0, lease.permits - lease.operations.length) + free;
}
