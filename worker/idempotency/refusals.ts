import type { ClaimReply } from "../../objects/dedup/idempotency-messages.ts";
import { GatewayError } from "../errors.ts";

/** Whoever comes back sooner than a second is told the same. */
const SOON = { "retry-after": "1" };

/** 400 for a request that needs a key and has none. */
export function keyMissing(header: string): GatewayError {
  return new GatewayError("idempotency-key-missing", {
    detail: `This request needs a key in ${header}: one quoted string, such as a UUID, the same when it is repeated.`,
  });
}

/** 400 for a field that is no key. */
export function keyInvalid(header: string, { got, wanted }: { got: string; wanted: string }): GatewayError {
  return new GatewayError("invalid-request", { detail: `${header} holds ${got}; wanted is ${wanted}.` });
}

/** What whoever may not send a request gets, unless it is the answer to another. */
export function refusalOf(reply: Exclude<ClaimReply, { kind: "run" | "replay" }>): GatewayError {
  switch (reply.kind) {
    case "in-flight":
      return new GatewayError("idempotency-in-flight", {
        detail: "A request with this key has not been answered yet; come back for its answer.",
        headers: SOON,
      });
    case "reused":
      return new GatewayError("idempotency-key-reused", {
        detail:
          "This key came with another method, address, content type, body or credentials; use another key for another request.",
      });
    case "outcome-unknown":
      return outcomeUnknown(reply);
  }
}

function outcomeUnknown({ isDone, until: untilMs }: Extract<ClaimReply, { kind: "outcome-unknown" }>): GatewayError {
  const until = new Date(untilMs).toISOString();
  const what = isDone
    ? "The request with this key was carried out, and its answer was too large to be kept"
    : "The request with this key was sent, and whether it was carried out is not known";
  return new GatewayError("idempotency-outcome-unknown", {
    detail: `${what}; it is not sent again before ${until}. Ask the API what became of it.`,
    members: { isDone, until },
  });
}

/** 503 for a key whose owner does not answer: nothing has been sent. */
export function ownerSilent(cause: unknown): GatewayError {
  return new GatewayError("dependency-unavailable", {
    detail: "Whether this idempotency key has been used could not be found out; nothing was sent. Come back in 1 s.",
    headers: SOON,
    cause,
  });
}

/** 503 for an answer that could not be recorded, and so is not given: a repetition would be answered in another way. */
export function notRecorded(cause: unknown): GatewayError {
  return new GatewayError("dependency-unavailable", {
    detail:
      "The request was sent and answered, and the answer could not be recorded under its idempotency key. It is not sent again: the key is answered 409 from now on, unless the record comes through after all.",
    headers: SOON,
    cause,
  });
}
