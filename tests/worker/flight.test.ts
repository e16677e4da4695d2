import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { DEFAULT_TIMEOUTS } from "../../schemas/policies/timeouts.ts";
import { targetState } from "../../worker/backends/target.ts";
import type { CallTime } from "../../worker/concurrency/gate.ts";
import { land, launch } from "../../worker/upstream/flight.ts";
import { NOTHING } from "../../worker/upstream/request-body.ts";
import { compileTargetUrl } from "../../worker/upstream/target-url.ts";
import { exchangeFor } from "./exchange.ts";

const URL = "https://origin.example";

it.each<[string, number, CallTime]>([
  ["as long as its target took where that is known", 0, { kind: "head", tookMs: 7 }],
  ["nothing where nobody knows what its client took to send it", Infinity, { kind: "nothing" }],
])("a call tells its gate %s", (_, clientMs, told) => {
  const exchange = exchangeFor({ prefix: "/" }, env);
  const urlOf = compileTargetUrl({ kind: "prefix", value: "/" }, URL);
  const notes: CallTime[] = [];
  const flight = launch(exchange, {
    target: {
      url: URL,
      urlOf,
      state: targetState(URL),
      breaker: undefined,
      timeouts: DEFAULT_TIMEOUTS,
      isMeasured: false,
    },
    choice: { kind: "target", index: 0, sticky: undefined, bind: undefined },
    attempt: undefined,
    leave: undefined,
    visit: { kind: "visit", note: (time) => void notes.push(time), leave() {} },
    turn() {},
    isCuttable: false,
  });
  const outgoing = { exchange, headers: new Headers(), body: { ...NOTHING, clientMs: () => clientMs } };
  land(outgoing, flight, { kind: "response", status: 200, hasRetryAfter: false, durationMs: 7 });
  expect(notes).toEqual([told]);
});
