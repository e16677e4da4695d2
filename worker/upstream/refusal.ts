import type { Fallback } from "../../schemas/index.ts";
import type { NoTarget } from "../backends/choice.ts";
import { GatewayError } from "../errors.ts";
import type { Exchange, Handler } from "../exchange.ts";
import type { Outgoing } from "./flight.ts";
import type { Send } from "./prepare-request.ts";

/** Answers requests that no target of a backend takes. Nothing of them has been sent. */
export interface Refusal {
  /** One whose fields and body are ready. */
  send(outgoing: Outgoing, none: NoTarget): Promise<Response>;
  /** One that is as it came. */
  handle(exchange: Exchange, none: NoTarget): Promise<Response>;
}

/** The backend that stands in. */
export interface StandIn {
  readonly send: Send;
  readonly handle: Handler;
}

/** What stands in where nothing is configured, and where the gateway itself holds back: 503 and when to come back. */
export const REFUSE: Refusal = {
  send: ({ exchange }, none) => Promise.reject(refused(exchange, none)),
  handle: (exchange, none) => Promise.reject(refused(exchange, none)),
};

/**
 * Compiles what a refused request gets.
 *
 * @param standIn compiles the backend of a fallback.
 */
export function compileRefusal(fallback: Fallback | undefined, standIn: (backend: string) => StandIn): Refusal {
  if (fallback === undefined) return REFUSE;
  if (fallback.kind === "response") {
    const answer = staticAnswer(fallback);
    return {
      send: ({ exchange }, none) => answer(noted(exchange, none, "response")),
      handle: (exchange, none) => answer(noted(exchange, none, "response")),
    };
  }
  const { send, handle } = standIn(fallback.backend);
  return {
    send: ({ exchange, headers, body }, none) => send(noted(exchange, none, fallback.backend), headers, body),
    handle: (exchange, none) => handle(noted(exchange, none, fallback.backend)),
  };
}

function noted(exchange: Exchange, { why }: NoTarget, fallback: string): Exchange {
  exchange.notes.refused = why;
  exchange.notes.fallback = fallback;
  return exchange;
}

function staticAnswer({ status, headers, body }: Extract<Fallback, { kind: "response" }>): Handler {
  const fields = headers.map(([name, value]): [string, string] => [name, value]);
  return ({ canonical }) => {
    const isBare = canonical.method === "HEAD" || body === "";
    return Promise.resolve(new Response(isBare ? null : body, { status, headers: fields }));
  };
}

const DETAILS = {
  "breaker-open": "Requests to this origin are held back for now",
  overloaded: "The backend has as many requests as it can take",
  "no-healthy-target": "No target of this backend is fit to take a request",
  "egress-queue-full": "The origin takes no more requests than come already",
} as const satisfies Record<NoTarget["why"], string>;

function refused({ notes }: Exchange, { why, retryAfterMs }: NoTarget): GatewayError {
  notes.refused = why;
  const retryAfter = Math.max(1, Math.ceil(retryAfterMs / 1_000));
  return new GatewayError(why, {
    detail: `${DETAILS[why]}; come back in ${retryAfter} s.`,
    headers: { "retry-after": String(retryAfter) },
  });
}
