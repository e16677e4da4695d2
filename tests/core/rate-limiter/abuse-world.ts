import fc from "fast-check";
import type { Abuse } from "../../../objects/rate-limiter/bans/abuse.ts";
import { NO_ABUSE, judge } from "../../../objects/rate-limiter/bans/abuse.ts";
import type { AbuseRule, AttemptReport } from "../../../objects/rate-limiter/bans/attempts.ts";
import { abuseThreshold, attemptsReply } from "../../../objects/rate-limiter/bans/attempts.ts";
import { DEFAULT_BAN_RULE, isBanned } from "../../../objects/rate-limiter/bans/bans.ts";
import type { Reporter } from "../../../objects/rate-limiter/bans/report.ts";
import { failed, newReporter, note, reportAt, takeReport, told } from "../../../objects/rate-limiter/bans/report.ts";
import { START } from "./arbitraries.ts";

export interface Attempt {
  readonly gap: number;
  readonly isolate: number;
  readonly count: number;
}

/** One way of a message. */
export interface Fate {
  readonly latencyMs: number;
  readonly isLost: boolean;
  /** It arrives a second time, so much later. */
  readonly again: number | undefined;
}

export interface Plan {
  readonly rule: AbuseRule;
  readonly isolates: number;
  readonly attempts: readonly Attempt[];
  readonly fates: readonly Fate[];
}

export interface Seen {
  readonly log: readonly { readonly at: number; readonly count: number }[];
  readonly bannedAt: number | undefined;
  readonly reports: number;
}

/** How long an isolate waits for an answer before it sends its report again. */
const DEADLINE_MS = 400;

/** Rates about the factor, so that about as many runs come close to it from below as pass it. */
export function anyPlan(anyFate: fc.Arbitrary<Fate>): fc.Arbitrary<Plan> {
  const rule = fc.record({
    tokensPerWindow: fc.constantFrom(10, 13, 40),
    windowMs: fc.constantFrom(1_000, 3_000, 10_000, 60_000),
    factor: fc.constantFrom(2, 5),
  });
  return fc
    .tuple(rule, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 4, max: 30 }))
    .chain(([rule, isolates, share]) => {
      const most = Math.max(1, Math.ceil(abuseThreshold(rule) / share));
      const attempt = fc.record({
        gap: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: Math.ceil((2 * rule.windowMs) / share) })),
        isolate: fc.nat({ max: isolates - 1 }),
        count: fc.integer({ min: 1, max: most }),
      });
      return fc.record({
        rule: fc.constant(rule),
        isolates: fc.constant(isolates),
        attempts: fc.array(attempt, { minLength: 10, maxLength: 90 }),
        fates: fc.array(anyFate, { minLength: 1, maxLength: 40 }),
      });
    });
}

/** Plays a plan on a virtual clock with the code that ships: isolates, their reports, a network, the owner. */
export function play({ rule, isolates, attempts, fates }: Plan): Seen {
  const log: { at: number; count: number }[] = [];
  const reporters: Reporter[] = Array.from({ length: isolates }, (_, index) => newReporter(`isolate ${index}`));
  const agenda: { at: number; act: () => void }[] = [];
  let now = START;
  let abuse: Abuse = NO_ABUSE;
  let bannedAt: number | undefined;
  let messages = 0;

  let at = START;
  for (const { gap, isolate, count } of attempts) {
    at += gap;
    plan(at, () => attempt(isolate, count));
  }
  for (let next = agenda.shift(); next !== undefined && now < at + 60_000; next = agenda.shift()) {
    now = next.at;
    next.act();
  }
  return { log, bannedAt, reports: messages };

  function plan(at: number, act: () => void): void {
    const place = agenda.findLastIndex((one) => one.at <= at);
    agenda.splice(place + 1, 0, { at, act });
  }

  function attempt(isolate: number, count: number): void {
    log.push({ at: now, count });
    update(isolate, (reporter) => note(reporter, rule, count, now));
    look(isolate);
  }

  function look(isolate: number): void {
    const reporter = reporters[isolate];
    const due = reporter === undefined ? undefined : reportAt(reporter, rule, now);
    if (reporter === undefined || due === undefined) return;
    if (due > now) {
      plan(due, () => look(isolate));
      return;
    }
    const taken = takeReport(reporter, now);
    reporters[isolate] = taken.reporter;
    send(isolate, taken.report);
  }

  function send(isolate: number, report: AttemptReport): void {
    travel(() => receive(isolate, report));
    plan(now + DEADLINE_MS, () => {
      const reporter = reporters[isolate];
      if (reporter?.pending?.seq !== report.seq) return;
      const outcome = failed(reporter, now);
      reporters[isolate] = outcome.reporter;
      if (outcome.report !== undefined) send(isolate, outcome.report);
      look(isolate);
    });
  }

  function receive(isolate: number, report: AttemptReport): void {
    abuse = JSON.parse(
      JSON.stringify(judge(abuse, { policy: "limit", configVersion: 1, rule, ban: DEFAULT_BAN_RULE }, report, now)),
    );
    if (isBanned(abuse.ban, now)) bannedAt ??= now;
    const [known] = abuse.policies;
    if (known === undefined) return;
    const reply = attemptsReply(known.attempts, rule);
    travel(() => {
      update(isolate, (reporter) => told(reporter, report.seq, reply));
      look(isolate);
    });
  }

  function travel(arrive: () => void): void {
    const fate = fates[messages % fates.length];
    messages += 1;
    if (fate === undefined || fate.isLost) return;
    plan(now + fate.latencyMs, arrive);
    if (fate.again !== undefined) plan(now + fate.latencyMs + fate.again, arrive);
  }

  function update(isolate: number, how: (reporter: Reporter) => Reporter): void {
    const reporter = reporters[isolate];
    if (reporter !== undefined) reporters[isolate] = how(reporter);
  }
}
