import { startOf, type HeldSlot } from "../../objects/upstream-quota/held-slots.ts";
import {
  againInMs,
  arrive,
  arriveAgain,
  giveBack,
  lookAgain,
  type Step,
} from "../../objects/upstream-quota/quota-borrower.ts";
import type { UnusedSlot } from "../../objects/upstream-quota/quota-messages.ts";
import type { QuotaSettings, Route } from "../../schemas/index.ts";
import { classOf } from "../backends/backend-gate.ts";
import type { NoTarget } from "../backends/choice.ts";
import type { Exchange } from "../exchange.ts";
import { clientAddress } from "../limits/client-address.ts";
import { pause } from "../pause.ts";
import { stayToTheEnd } from "../stay-to-the-end.ts";
import { askOwner } from "./ask-owner.ts";
import { deskOf } from "./desk.ts";
import { leaveBy, type Leave } from "./leave.ts";
import { renewAhead } from "./renew-ahead.ts";
import { release, type Visit } from "./visit.ts";

/** A backend's part of a quota (docs/design/egress.md). */
export interface EgressQuota {
  /**
   * Waits for the moment in which a request may be sent once, or for word that it won't come; notes how long, and why not. Ends
   * when the client leaves.
   *
   * @param mayWait false: it is now or not at all.
   * @throws GatewayError what has stopped the exchange.
   */
  leaveFor(exchange: Exchange, mayWait: boolean): Promise<Leave | NoTarget>;
}

/** There is none in time. */
interface NoLeave {
  readonly kind: "refused";
  readonly why: NonNullable<Exchange["notes"]["egress"]>;
  readonly retryAfterMs: number;
}

/** With `onError: "open"`: any restart is a short silence, after which those who have waited ask again and are counted. */
const OPEN_AFTER_MS = 2_000;
/** Waits between questions to a silent owner double so often, from 100 ms at most to 1.6 s. */
const MAX_DOUBLINGS = 4;

/** Compiles how a backend's requests get leave to be sent; undefined: they need none. */
export function compileQuota(
  { priority: ofRoute }: Pick<Route, "priority">,
  settings: QuotaSettings | undefined,
): EgressQuota | undefined {
  if (settings === undefined) return undefined;
  const { name: quota, policy, by, priority, maxWaitMs, onError } = settings;

  async function leaveFor(exchange: Exchange, mayWait: boolean): Promise<Leave | NoTarget> {
    const { configVersion, deadline, notes } = exchange;
    const since = Date.now();
    const desk = deskOf(quota);
    const visit: Visit = {
      exchange,
      desk,
      terms: { quota, configVersion, policy },
      async asker() {
        const { client } = await clientAddress(exchange, by, "pooled");
        return { client, priority: priority ?? classOf(exchange, ofRoute) };
      },
      deadlineAt: Math.min(since + (mayWait ? maxWaitMs : 0), deadline),
    };
    const { borrower, step, renewal } = arrive(desk.borrower, { now: since, deadlineAt: visit.deadlineAt, policy });
    desk.borrower = borrower;
    if (renewal !== undefined) renewAhead(visit, renewal);
    if (step.kind === "start" && startOf(step.slot, since).kind === "start") {
      notes.egressMs ??= 0;
      return leaveBy(visit, step.slot);
    }
    const letGo = stayToTheEnd(exchange);
    try {
      const leave = await wait(visit, step);
      if (leave.kind === "leave") return leave;
      // One that could be done without is nothing to report.
      if (mayWait) notes.egress = leave.why;
      return { kind: "none", why: "egress-queue-full", retryAfterMs: leave.retryAfterMs };
    } finally {
      letGo();
      notes.egressMs = (notes.egressMs ?? 0) + Date.now() - since;
    }
  }

  async function wait(visit: Visit, first: Step): Promise<Leave | NoLeave> {
    const { exchange, desk, deadlineAt } = visit;
    let step = first;
    let unused: readonly UnusedSlot[] = [];
    for (let failures = 0; ;) {
      if (step.kind === "look-again") {
        await pause(exchange, step.inMs);
        const again = lookAgain(desk.borrower, { now: Date.now(), deadlineAt, policy }, step.until);
        desk.borrower = again.borrower;
        if (again.renewal !== undefined) renewAhead(visit, again.renewal);
        ({ step } = again);
        continue;
      }
      const answer = step.kind === "ask" ? await askOwner(visit, step.ask) : step;
      if (answer.kind === "refuse" && unused.length > 0) release(visit, { withdrawn: [], unused });
      unused = [];
      switch (answer.kind) {
        case "start":
          if (await hasCome(visit, answer.slot)) return leaveBy(visit, answer.slot);
          ({ borrower: desk.borrower, unused } = giveBack(desk.borrower, answer.slot));
          break;
        case "refused":
          return answer;
        case "refuse":
          if (failures > 0 && onError === "open") return uncounted(visit);
          return { kind: "refused", why: failures > 0 ? "no-owner" : "deadline", retryAfterMs: 0 };
        case "silent":
          if (onError === "open" && Date.now() - (desk.silentSince ?? Infinity) >= OPEN_AFTER_MS) {
            return uncounted(visit);
          }
          await pause(exchange, againInMs(Math.random()) * 2 ** Math.min(failures, MAX_DOUBLINGS));
          failures += 1;
      }
      step = arriveAgain(desk.borrower, { now: Date.now(), deadlineAt }, unused);
    }
  }

  return { leaveFor };
}

async function hasCome(visit: Visit, slot: HeldSlot): Promise<boolean> {
  try {
    for (;;) {
      const fate = startOf(slot, Date.now());
      if (fate.kind !== "wait") return fate.kind === "start";
      await pause(visit.exchange, fate.ms);
    }
  } catch (error) {
    // Its client has left: another one may have it.
    leaveBy(visit, slot).giveBack();
    throw error;
  }
}

function uncounted(visit: Visit): Leave {
  (visit.exchange.notes.degraded ??= []).push("egress");
  return leaveBy(visit, undefined);
}
