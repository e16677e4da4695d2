import type { Backend } from "../../schemas/index.ts";
import { chooseTarget } from "../balance/choose-target.ts";
import { callsInFlight, latencyOf } from "../balance/target-load.ts";
import type { Exchange } from "../exchange.ts";
import { identityKey } from "../limits/client-address.ts";
import type { Asked, Balancer, Choice, ChosenTarget, NoTarget, StickyNote } from "./choice.ts";
import { knownCandidates } from "./known-candidates.ts";
import { nearestTargets } from "./nearest-targets.ts";
import { stickyOf, type Sticky } from "./sticky.ts";
import type { Binding } from "./sticky-token.ts";
import type { TargetBreaker } from "./target-breaker.ts";
import { targetState } from "./target.ts";

const NOT_ASKED: Asked = { tried: [], refused: [] };
/** A target that is down may be well after its next check; where nobody checks, after an operator has acted. */
const COME_BACK_MS = 5_000;

/**
 * Compiles how a route's requests are spread over the targets of its backend. What is known of the targets and whose turn it is
 * belongs to the isolate and outlasts the configuration.
 *
 * @param breakers one for each target as this route meets it; undefined: none is configured.
 * @returns undefined where there is nothing to choose: the first target takes every request.
 */
export function compileBalancer(
  backend: Backend,
  breakers: readonly (TargetBreaker | undefined)[],
): Balancer | undefined {
  const { targets, balance, sticky: stickyPolicy } = backend;
  if (targets.length === 1 && !isEjectable(backend)) return undefined;
  const candidates = knownCandidates(backend, Math.random(), Date.now());
  const states = targets.map(({ url }) => targetState(url));
  const plain = targets.map((_, index): ChosenTarget => ({
    kind: "target",
    index,
    sticky: undefined,
    bind: undefined,
  }));
  const looksAtLatency = balance.algorithm === "power-of-two";
  const looksAtLoad = looksAtLatency || balance.algorithm === "least-requests";
  const isKeyed = balance.algorithm === "rendezvous";
  const narrow = nearestTargets(targets, balance);
  const sticky = stickyPolicy === undefined ? undefined : stickyOf(stickyPolicy, backend);

  function look(refused: readonly number[], now: number): void {
    for (let index = 0; index < candidates.length; index++) {
      const candidate = candidates[index];
      const state = states[index];
      const target = targets[index];
      if (candidate === undefined || state === undefined || target === undefined) break;
      candidate.isOpen = refused.includes(index) || breakers[index]?.isRefusing(now) === true;
      candidate.downSince = state.downSince;
      candidate.wellSince = Math.max(state.wellSince, candidate.addedAt);
      candidate.isDraining = target.drain || state.isDraining;
      candidate.share = target.weight;
      if (looksAtLoad) candidate.inFlight = callsInFlight(state.load, now);
      if (looksAtLatency) candidate.latencyMs = latencyOf(state.load, now);
    }
  }

  function pick(exchange: Exchange, now: number, asked: Asked, bound: number): number | undefined {
    look(asked.refused, now);
    const key = isKeyed ? identityKey(balance.by, exchange) : "";
    const policy = narrow === undefined ? balance : narrow(candidates, exchange.request.cf, asked.tried);
    return chooseTarget(candidates, policy, { bound, tried: asked.tried, key, random: Math.random }, now);
  }

  function none(now: number): NoTarget {
    let why: NoTarget["why"] = "no-healthy-target";
    let retryAfterMs = Infinity;
    for (const [index, { isOpen, share }] of candidates.entries()) {
      if (!isOpen || share === 0) continue;
      why = "breaker-open";
      const view = states[index]?.view;
      const until = view?.kind === "closed" ? view.localUntil : (view?.until ?? now);
      retryAfterMs = Math.min(retryAfterMs, Math.max(1, until - now));
    }
    if (retryAfterMs === Infinity) retryAfterMs = backend.healthCheck?.intervalMs ?? COME_BACK_MS;
    return { kind: "none", why, retryAfterMs };
  }

  function choosePlain(exchange: Exchange, now: number, asked: Asked = NOT_ASKED): Choice {
    const index = pick(exchange, now, asked, -1);
    return (index === undefined ? undefined : plain[index]) ?? none(now);
  }

  return sticky === undefined
    ? { choose: choosePlain }
    : { choose: (exchange, now, asked = NOT_ASKED) => chooseSticky(sticky, exchange, now, asked), strip: sticky.strip };

  function chooseSticky(bindings: Sticky, exchange: Exchange, now: number, asked: Asked): Choice | Promise<Choice> {
    const loading = bindings.load(exchange.env);
    const binding = bindings.bindingOf(exchange);
    if (loading === undefined && !(binding instanceof Promise))
      return chooseBound({ bindings, exchange, now, asked }, binding);
    return Promise.all([binding, loading]).then(([known]) => chooseBound({ bindings, exchange, now, asked }, known));
  }

  function chooseBound(asking: Asking, binding: Binding | undefined): Choice | Promise<Choice> {
    const { bindings, exchange, now, asked } = asking;
    const bound = bindings.indexOf(binding, now);
    const index = pick(exchange, now, asked, bound);
    if (index === undefined) return none(now);
    const isKept = bound !== -1 && candidates[bound]?.isEligible === true;
    // It has failed this one request, and another target may answer that; what the client has there it still has there.
    if (isKept && index !== bound) return { kind: "target", index, sticky: "kept", bind: undefined };
    const chosen = candidates[index];
    const isLeaving = chosen === undefined || chosen.isDraining || chosen.share === 0;
    if (isKept && (binding === undefined || isLeaving || !bindings.isAging(binding, now))) {
      return { kind: "target", index, sticky: "kept", bind: undefined };
    }
    const note: StickyNote = isKept ? "kept" : binding !== undefined && binding.expiresAt > now ? "moved" : "new";
    const bind = bindings.bindTo(index, exchange, now);
    if (!(bind instanceof Promise)) return { kind: "target", index, sticky: note, bind };
    return bind.then((made) => ({ kind: "target", index, sticky: note, bind: made }));
  }
}

/** A request on its way to a bound target. */
interface Asking {
  readonly bindings: Sticky;
  readonly exchange: Exchange;
  readonly now: number;
  readonly asked: Asked;
}

/** Whether health checks may take the only target away. */
function isEjectable({ healthCheck, balance }: Backend): boolean {
  return healthCheck !== undefined && balance.maxEjection >= 1 && balance.panicThreshold <= 0;
}
