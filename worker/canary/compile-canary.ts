import { createLru } from "../../objects/lru.ts";
import type { RolloutTerms } from "../../objects/rollout/rollout-messages.ts";
import {
  beginTrial,
  endTrial,
  newRolloutView,
  reconfigureRollout,
  type RolloutView,
  type Trial,
  type TrialEnd,
} from "../../objects/rollout/rollout-view.ts";
import { CELLS } from "../../objects/rollout/variant-counts.ts";
import type { CanaryPolicy } from "../../schemas/index.ts";
import { readCookie } from "../cookie.ts";
import type { Exchange, Handler, Placement } from "../exchange.ts";
import { identityKey } from "../limits/client-address.ts";
import { originFailure } from "../upstream/origin-failure.ts";
import { isBrokenBySource } from "../upstream/pump.ts";
import { compileRelease } from "./choose-variant.ts";
import { reportDue } from "./release-owner.ts";

/** What this isolate knows of releases, by route; whatever the configuration. One that is forgotten is heard of with its next report. */
const views = createLru<string, RolloutView>(1_000);

/** What the owner of a release is told of it. */
export function termsOf({ name, variants, abort }: CanaryPolicy, configVersion: number): RolloutTerms {
  return { configVersion, release: name, variants: compileRelease({ name, variants }).names, policy: abort };
}

/**
 * Compiles which variant a request of a route gets and what is counted of it.
 *
 * @returns runs the rest of the chain, with the exchange placed at its variant's backend; the control's stays where it is.
 */
export function compileCanary(
  policy: CanaryPolicy,
  route: string,
): (exchange: Exchange, next: Handler, now: number) => Promise<Response> {
  const { by, header, cookie } = policy;
  const release = compileRelease(policy);
  const placements = policy.variants.map(({ backend, name }): Placement => ({ backend, variant: name }));
  let terms: RolloutTerms | undefined;

  return function tryOut(exchange, next, now) {
    terms ??= termsOf(policy, exchange.configVersion);
    const view = viewOf(route, terms);
    const key = identityKey(by, exchange);
    const { index, name, counts } = release.choose(key, askedBy(exchange), view);
    const placement = placements[index - 1];
    if (placement !== undefined) exchange.placement = placement;
    exchange.notes.variant = name;
    const trial = counts
      ? beginTrial(view, index, index === 0 ? release.cellOf(key, CELLS) : 0)
      : beginTrial(view, undefined, 0);
    reportDue(view, exchange, now);
    return trial === undefined ? next(exchange) : tried(view, trial, exchange, next);
  };

  function askedBy({ fields: { endToEnd } }: Exchange): string | null {
    const named = header === undefined ? null : endToEnd.get(header);
    return named ?? (cookie === undefined ? null : readCookie(endToEnd.get("cookie"), cookie));
  }
}

/**
 * Counts what objects ask for at the variants of a route, each request once, however many wait for it. Whether somebody has asked for his
 * variant isn't known here.
 */
export function countTrials(policy: CanaryPolicy, route: string, next: Handler): Handler {
  const release = compileRelease(policy);
  let terms: RolloutTerms | undefined;
  return (exchange) => {
    terms ??= termsOf(policy, exchange.configVersion);
    const view = viewOf(route, terms);
    const index = Math.max(0, release.names.indexOf(exchange.placement?.variant ?? ""));
    const trial = beginTrial(view, index, release.cellOf(exchange.requestId, CELLS));
    reportDue(view, exchange, Date.now());
    return trial === undefined ? next(exchange) : tried(view, trial, exchange, next);
  };
}

function viewOf(route: string, terms: RolloutTerms): RolloutView {
  const known = views.get(route);
  if (known === undefined) {
    const view = newRolloutView({ isolate: crypto.randomUUID(), seq: 0 }, terms);
    views.set(route, view);
    return view;
  }
  if (known.terms !== terms) reconfigureRollout(known, terms);
  return known;
}

/** Runs the rest of the chain, and counts what came of it at the backend. */
async function tried(view: RolloutView, trial: Trial, exchange: Exchange, next: Handler): Promise<Response> {
  try {
    const response = await next(exchange);
    const end = endOf(exchange, response);
    const { body } = exchange.notes;
    if (end?.kind !== "answer" || body === undefined) ended(view, trial, exchange, end);
    // An answer that its backend breaks off is none.
    else exchange.ctx.waitUntil(body.then((of) => ended(view, trial, exchange, isBrokenBySource(of) ? ERROR : end)));
    return response;
  } catch (error) {
    const isOurs = exchange.notes.isSent === true && originFailure(error) !== undefined;
    ended(view, trial, exchange, isOurs && hadItsTime(exchange) ? ERROR : undefined);
    throw error;
  }
}

const ERROR: TrialEnd = { kind: "error" };

function ended(view: RolloutView, trial: Trial, exchange: Exchange, end: TrialEnd | undefined): void {
  if (end !== undefined) endTrial(view, trial, end);
  reportDue(view, exchange, Date.now());
}

/** Undefined: it says nothing of the backend, which was asked by somebody else or not at all, or another stood in for it. */
function endOf({ notes }: Exchange, { status }: Response): TrialEnd | undefined {
  if (notes.fallback !== undefined || notes.isSent !== true) return undefined;
  // What is kept bridges a failure.
  if (notes.cache === "STALE" || status >= 500) return ERROR;
  if (notes.upstreamMs === undefined) return undefined;
  const ms = notes.upstreamMs - (notes.clientMs?.(Date.now()) ?? 0);
  return ms === -Infinity ? undefined : { kind: "answer", ms: Math.max(0, ms) };
}

/** Clients that send their bodies slowly, or never whole, could have a release aborted that is sound. */
function hadItsTime({ notes, receivedAt }: Exchange): boolean {
  const now = Date.now();
  return (notes.clientMs?.(now) ?? 0) <= (now - receivedAt) / 2;
}
