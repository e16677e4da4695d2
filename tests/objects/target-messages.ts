import { DEFAULT_BREAKER, type BreakerPolicy } from "../../objects/circuit-breaker/breaker-policy.ts";
import type { TargetReport, WatchMessage } from "../../objects/circuit-breaker/target-messages.ts";

/** The target of every test's object. */
export const TARGET = "http://127.0.0.1:9";
/** Checks every 10 s, down after three failures, up after two successes. */
export const CHECKED = { intervalMs: 10_000, timeoutMs: 2_000, rise: 2, fall: 3 };

/** A policy that opens for exactly a minute. */
export const POLICY: BreakerPolicy = { ...DEFAULT_BREAKER, jitter: 0 };

let seq = 0;

/** A report of an isolate that has nothing to say, but for what is given; each has the next number. */
export function report(changes: Partial<TargetReport> = {}): TargetReport {
  seq += 1;
  return {
    v: 1,
    configVersion: 1,
    policy: POLICY,
    isolate: "a",
    seq,
    epoch: 1,
    isolates: 1,
    ok: 0,
    failed: 0,
    slow: 0,
    isFailing: false,
    wantsPermit: false,
    probes: [],
    target: TARGET,
    backend: "api",
    health: null,
    ...changes,
  };
}

/** An isolate's question for news of a target with health checks, but for what is given. */
export function watch(changes: Partial<WatchMessage> = {}): WatchMessage {
  return { v: 1, configVersion: 1, isolate: "a", target: TARGET, backend: "api", health: CHECKED, ...changes };
}
