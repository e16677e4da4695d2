import { env } from "cloudflare:workers";
import { afterEach, beforeEach, vi } from "vitest";
import type { CircuitBreaker } from "../../objects/circuit-breaker/circuit-breaker.ts";
import { DEFAULT_BREAKER, type BreakerPolicy } from "../../objects/circuit-breaker/breaker-policy.ts";
import type { CallEnd } from "../../objects/circuit-breaker/outcome.ts";
import type {
  TargetReply,
  TargetReport,
  WatchMessage,
  WatchReply,
} from "../../objects/circuit-breaker/target-messages.ts";
import { parseConfig, type Backend, type BreakerSettings } from "../../schemas/index.ts";
import {
  targetBreaker,
  type Admitted,
  type BreakerCaller,
  type TargetBreaker,
} from "../../worker/backends/target-breaker.ts";
import { createTargets, targetTerms, type TargetState } from "../../worker/backends/target.ts";
import { watchTargets } from "../../worker/backends/watch-targets.ts";

/** A message that a target's owner was sent. */
export type Sent =
  | { readonly method: "report"; readonly message: TargetReport }
  | { readonly method: "watch"; readonly message: WatchMessage };

/** What stands between isolates and owners: may answer by itself, or let the message through. */
export type Between = (sent: Sent, proceed: () => Promise<unknown>) => Promise<unknown>;

/** How a call to a target ends well. */
export const OK: CallEnd = { kind: "response", status: 200, hasRetryAfter: false, durationMs: 5 };
/** How it ends when nobody is there. */
export const LOST: CallEnd = { kind: "error", error: "connection" };

/** A Worker isolate, as far as targets go; all of them run in this one. */
export interface Isolate {
  /** What it was heard to say, in order. */
  readonly sent: readonly Sent[];
  readonly caller: BreakerCaller;
  state(url: string): TargetState;
  breaker(url: string, options?: BreakerOptions): TargetBreaker;
  /** Resolves when those who were asked about them have answered. */
  watch(urls: readonly string[], healthCheck?: object): Promise<void>;
  /** Lets a request pass the breaker and end so. */
  call(breaker: TargetBreaker, end: CallEnd): void;
  /** How much of what its requests left behind is not over yet. */
  left(): number;
  /** Resolves when every report so far is on its way. */
  said(): Promise<void>;
  /** Resolves when every report so far has its answer, and that has been taken in. */
  answered(): Promise<void>;
}

export interface BreakerOptions {
  readonly policy?: Partial<BreakerPolicy>;
  readonly shadow?: boolean;
  readonly healthCheck?: object;
}

/** A turn of the event loop, whatever the clock says. */
const turn = scheduler.wait.bind(scheduler, 0);

let targets = 0;
let isolates = 0;

/** Lets time pass only as `passes` says, a day ahead of the runtime's own clock. */
export function holdTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: Date.now() + 86_400_000 });
    vi.spyOn(scheduler, "wait").mockImplementation((ms) => new Promise((resolve) => void setTimeout(resolve, ms)));
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });
}

/** Lets so many milliseconds pass, with everything that waits for them. */
export async function passes(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** A target that no other test knows. */
export function newTarget(): string {
  targets += 1;
  return `http://target-${targets}.example`;
}

/** An isolate that knows nothing yet. */
export function newIsolate(between: Between = (_, proceed) => proceed(), configVersion = 1): Isolate {
  isolates += 1;
  const self = { isolate: `isolate ${isolates}`, seq: 0, phase: 0 };
  const known = createTargets(self);
  const sent: Sent[] = [];
  const calls: Promise<unknown>[] = [];
  let left = 0;
  const work = {
    push(promise: Promise<unknown>) {
      left += 1;
      void promise.finally(() => (left -= 1));
    },
  };

  function pass(one: Sent, owner: DurableObjectStub<CircuitBreaker>): Promise<unknown> {
    sent.push(one);
    const call = between(one, () => (one.method === "report" ? owner.report(one.message) : owner.watch(one.message)));
    calls.push(call);
    return call;
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all that the Worker uses of it
  const namespace = {
    idFromName: env.CIRCUIT_BREAKER.idFromName.bind(env.CIRCUIT_BREAKER),
    get(id: DurableObjectId) {
      const owner = env.CIRCUIT_BREAKER.get(id);
      return {
        report: (message: TargetReport) => pass({ method: "report", message }, owner),
        watch: (message: WatchMessage) => pass({ method: "watch", message }, owner),
      };
    },
  } as unknown as Env["CIRCUIT_BREAKER"];
  const caller: BreakerCaller = {
    env: { ...env, CIRCUIT_BREAKER: namespace },
    ctx: contextFor(work),
    configVersion,
    notes: {},
  };

  async function said(): Promise<void> {
    const reports = () => sent.filter(({ method }) => method === "report").length;
    while (reports() < self.seq) await turn();
  }

  return {
    sent,
    caller,
    state: (url) => known.state(url),
    breaker(url, { policy, shadow = false, healthCheck } = {}) {
      const settings: BreakerSettings = {
        policy: { ...DEFAULT_BREAKER, jitter: 0, ...policy },
        failureStatuses: [500, 502, 503, 504],
        fallback: undefined,
        shadow,
      };
      return targetBreaker(known.state(url), backendOf([url], healthCheck), settings);
    },
    async watch(urls, healthCheck) {
      const backend = backendOf(urls, healthCheck);
      const watched = urls.map((url) => ({ state: known.state(url), terms: targetTerms(url, backend) }));
      const work: Promise<unknown>[] = [];
      watchTargets({ ...caller, ctx: contextFor(work) }, watched, Date.now());
      await Promise.all(work);
    },
    call(breaker, end) {
      breaker.settle(caller, passed(breaker.admit(caller, Date.now())), end, Date.now());
    },
    left: () => left,
    said,
    async answered() {
      await said();
      await Promise.allSettled(calls.splice(0));
      // What takes an answer in comes some turns after it.
      await turn();
    },
  };
}

function contextFor(work: { push(promise: Promise<unknown>): unknown }): ExecutionContext {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of the context is used
  return { waitUntil: (promise: Promise<unknown>) => void work.push(promise) } as ExecutionContext;
}

/** The attempt of a request that was let through at once. */
export function passed(admitted: Admitted | Promise<Admitted>) {
  if (admitted instanceof Promise) throw new Error("the request waits, wanted it to pass at once");
  if (admitted.kind !== "pass") throw new Error("the request is refused, wanted it to pass");
  return admitted.attempt;
}

/** An answer of an owner of one isolate whose breaker was never open, but for what is given. */
export function replied(changes: Partial<TargetReply> = {}): TargetReply {
  return {
    v: 1,
    epoch: 1,
    circuit: "closed",
    ageMs: 1_000_000,
    remainingMs: 0,
    reportMs: 1_000,
    urgentMs: 0,
    isolates: 1,
    permit: null,
    news: { downForMs: null, isDraining: false, wellForMs: null },
    ...changes,
  };
}

/** News of an owner of one isolate. */
export function told(news: Partial<WatchReply["news"]> = {}, pollMs = 5_000): WatchReply {
  return { v: 1, isolates: 1, pollMs, news: { downForMs: null, isDraining: false, wellForMs: null, ...news } };
}

function backendOf(urls: readonly string[], healthCheck?: object): Backend {
  const targets = urls.map((url) => ({ url }));
  const backends = { api: { targets, ...(healthCheck && { healthCheck }) } };
  const parsed = parseConfig({ backends, routes: [{ prefix: "/", backend: "api" }] });
  const backend = parsed.ok ? parsed.config.backends.get("api") : undefined;
  if (backend === undefined) throw new Error(JSON.stringify(parsed));
  return backend;
}
