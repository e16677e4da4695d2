import {
  againInMs,
  arrive,
  arriveAgain,
  hearGrant,
  newBorrower,
  startOf,
  type HeldSlot,
  type Step,
} from "../../objects/upstream-quota/quota-borrower.ts";
import { signalOf } from "../../objects/upstream-quota/upstream-signal.ts";
import { EGRESS_POLICY, EGRESS_WAIT_MS } from "./egress-policy.ts";

export {
  CircuitBreaker,
  ControlPlane,
  Dedup,
  Origin,
  RateLimiter,
  SocketRegistry,
  UpstreamQuota,
} from "../../worker/index.ts";

const TERMS = { quota: "provider", configVersion: 1, policy: EGRESS_POLICY };
const isolate = `isolate ${Math.random()}`;
let borrower = newBorrower();
let lastSeq = 0;

/**
 * Asks the owner of a quota for a slot and calls the upstream in it, as no part of the shipped Worker does yet: both shipped halves,
 * around real calls, timers and clocks. `X-Test-Upstream` is whom to call, `X-Test-Client` who asks. 503 without a slot.
 */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const upstream = request.headers.get("x-test-upstream");
    if (upstream === null) return new Response("no upstream", { status: 404 });
    const owner = env.UPSTREAM_QUOTA.getByName("provider");
    const deadlineAt = Date.now() + EGRESS_WAIT_MS;
    const slot = await slotFor(owner, request.headers.get("x-test-client") ?? "", deadlineAt);
    if (slot === undefined) return new Response("no slot", { status: 503 });
    const response = await fetch(new URL(new URL(request.url).pathname, upstream));
    const body = await response.text();
    const seconds = response.headers.get("retry-after");
    const retryAfterMs = seconds === null ? undefined : Number(seconds) * 1_000;
    const signal = signalOf({ status: response.status, retryAfterMs, rateLimit: response.headers.get("ratelimit") });
    if (signal.kind !== "ok" || slot.wantsSuccess) await owner.signal({ v: 1, epoch: slot.epoch, signal, ...TERMS });
    return new Response(body, { status: response.status });
  },
} satisfies ExportedHandler<Env>;

async function slotFor(
  owner: ReturnType<Env["UPSTREAM_QUOTA"]["getByName"]>,
  client: string,
  deadlineAt: number,
): Promise<HeldSlot | undefined> {
  const first = arrive(borrower, { now: Date.now(), deadlineAt });
  borrower = first.borrower;
  let step: Step = first.step;
  for (;;) {
    const slot = step.kind === "start" ? step.slot : await asked(step);
    if (slot === undefined) return undefined;
    let unused: readonly number[] = [];
    if (slot === "lost") await scheduler.wait(againInMs(Math.random()));
    else if (await hasCome(slot)) return slot;
    else unused = [slot.id];
    step = arriveAgain(borrower, { now: Date.now(), deadlineAt }, unused);
  }

  async function asked(next: Step): Promise<HeldSlot | "lost" | undefined> {
    if (next.kind !== "ask") return undefined;
    lastSeq += 1;
    const sentAt = Date.now();
    const message = { v: 1, isolate, seq: lastSeq, client, priority: "normal", ...next.ask, ...TERMS } as const;
    const reply = await owner.acquire(message).catch(() => undefined);
    if (reply === undefined) return "lost";
    if (reply.kind === "refused") return undefined;
    const heard = hearGrant(borrower, reply, { sentAt, receivedAt: Date.now() });
    borrower = heard.borrower;
    return heard.slot ?? "lost";
  }
}

async function hasCome(slot: HeldSlot): Promise<boolean> {
  for (;;) {
    const fate = startOf(slot, Date.now());
    if (fate.kind !== "wait") return fate.kind === "start";
    await scheduler.wait(fate.ms);
  }
}
