import type { BreakerView } from "../../objects/circuit-breaker/breaker-view.ts";
import { newTargetLoad, type TargetLoad } from "../balance/target-load.ts";

/**
 * What an isolate knows of one target, whatever configuration or route uses it. Changed in place, since every request looks
 * here. Times by this isolate's clock, in ms.
 */
export interface TargetState {
  readonly url: string;
  /** Of its breaker; undefined: no request has met one yet. */
  view: BreakerView | undefined;
  /** Since when health checks call it down; undefined: they don't, or nobody checks. */
  downSince: number | undefined;
  /** Since when it has been well again, by health checks or by its breaker; -Infinity: it was never anything else. */
  wellSince: number;
  /** By an operator's order; a configuration says so beside it. */
  isDraining: boolean;
  readonly load: TargetLoad;
}

const states = new Map<string, TargetState>();

/** What this isolate knows of a target: the same value each time, so that a configuration that is loaded anew loses nothing. */
export function targetState(url: string): TargetState {
  const known = states.get(url);
  if (known !== undefined) return known;
  const state: TargetState = {
    url,
    view: undefined,
    downSince: undefined,
    wellSince: -Infinity,
    isDraining: false,
    load: newTargetLoad(),
  };
  states.set(url, state);
  return state;
}

/** Forgets every target but these, so that an isolate holds no more than its configuration names. */
export function retainTargets(urls: ReadonlySet<string>): void {
  for (const url of states.keys()) if (!urls.has(url)) states.delete(url);
}
