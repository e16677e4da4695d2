import type { BreakerView, Reporter } from "../../objects/circuit-breaker/breaker-view.ts";
import type { TargetNews, TargetTerms } from "../../objects/circuit-breaker/target-messages.ts";
import type { Backend, Target } from "../../schemas/index.ts";
import { newTargetLoad, type TargetLoad } from "../balance/target-load.ts";

/** A Worker isolate, as the owners of targets tell it from others. */
export interface Isolate extends Reporter {
  /** In [0, 1): its place where the reports of all isolates are spread. */
  readonly phase: number;
}

/**
 * What an isolate knows of one target, whatever configuration or route uses it. Changed in place, since every request looks
 * here. Times by this isolate's clock, in ms.
 */
export interface TargetState {
  readonly url: string;
  /** Whose knowledge this is. */
  readonly isolate: Isolate;
  /** Of its breaker; undefined: no request has met one yet. */
  view: BreakerView | undefined;
  /** What its owner is told of it, by the newest configuration that a request has come with. */
  terms: TargetTerms;
  /** Since when health checks call it down; undefined: they don't, or nobody checks. */
  downSince: number | undefined;
  /** Since when it has been well again, by health checks or by its breaker; -Infinity: it was never anything else. */
  wellSince: number;
  /** By an operator's order; a configuration says so beside it. */
  isDraining: boolean;
  /** When a request whose body was all here last wanted a permit to probe it; -Infinity: never. */
  wantedAt: number;
  readonly load: TargetLoad;
  /** How many isolates use it, by the last word of its owner; 0: there was none. */
  isolates: number;
  /** When its owner last told news of it; -Infinity: never. */
  newsAt: number;
  /** It isn't asked for news for so long after this. */
  watchedAt: number;
  watchMs: number;
  /** When whoever sees to its reports wakes next, if anybody does; and which of them. */
  wakesAt: number;
  waker: number;
  /** When it was last logged that its owner does not answer. */
  complainedAt: number;
}

/** All of a backend that matters here. */
interface NamedTargets {
  readonly targets: readonly Pick<Target, "url">[];
}

/** All that one isolate knows of targets. */
export interface Targets {
  /** The same value each time, so that a configuration that is loaded anew loses nothing. */
  state(url: string): TargetState;
  /** Forgets every target but those of these backends, so that an isolate holds no more than its configuration names. */
  retain(backends: Iterable<NamedTargets>): void;
}

/** Of this isolate. Made at first use: there is no randomness at start-up. */
let own: Targets | undefined;

/** What this isolate knows of a target: see `Targets.state`. */
export function targetState(url: string): TargetState {
  own ??= createTargets({ isolate: crypto.randomUUID(), seq: 0, phase: Math.random() });
  return own.state(url);
}

/** See `Targets.retain`. */
export function retainTargets(backends: Iterable<NamedTargets>): void {
  own?.retain(backends);
}

/** Knowledge of an isolate that has met no target yet. */
export function createTargets(isolate: Isolate): Targets {
  const states = new Map<string, TargetState>();
  return {
    state(url) {
      const known = states.get(url);
      if (known !== undefined) return known;
      const state = newState(url, isolate);
      states.set(url, state);
      return state;
    },
    retain(backends) {
      const urls = new Set<string>();
      for (const { targets } of backends) for (const { url } of targets) urls.add(url);
      for (const url of states.keys()) if (!urls.has(url)) states.delete(url);
    },
  };
}

function newState(url: string, isolate: Isolate): TargetState {
  return {
    url,
    isolate,
    view: undefined,
    terms: { target: url, backend: "unknown", health: null },
    downSince: undefined,
    wellSince: -Infinity,
    isDraining: false,
    wantedAt: -Infinity,
    load: newTargetLoad(),
    isolates: 0,
    newsAt: -Infinity,
    watchedAt: -Infinity,
    watchMs: 0,
    wakesAt: -Infinity,
    waker: 0,
    complainedAt: -Infinity,
  };
}

/** What the owner of a backend's target is told of it. */
export function targetTerms(url: string, { name, healthCheck }: Backend): TargetTerms {
  if (healthCheck === undefined) return { target: url, backend: name, health: null };
  const { intervalMs, timeoutMs, rise, fall } = healthCheck;
  return { target: url, backend: name, health: { intervalMs, timeoutMs, rise, fall } };
}

/** Takes in what a target's owner tells of it. */
export function learnNews(state: TargetState, { downForMs, isDraining, wellForMs }: TargetNews, now: number): void {
  state.newsAt = now;
  state.isDraining = isDraining;
  state.downSince = downForMs === null ? undefined : now - downForMs;
  if (wellForMs !== null) learnWell(state, now - wellForMs);
}

/** Takes in that a target has been well since then. */
export function learnWell(state: TargetState, since: number): void {
  state.wellSince = Math.max(state.wellSince, since);
}
