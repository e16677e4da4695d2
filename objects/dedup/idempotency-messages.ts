import { isText, MAX_ID_LENGTH, wanted, type Unchecked } from "../message-checks.ts";
import { isCount } from "../numbers.ts";
import type { AttemptOutcome, IdempotencyPolicy } from "./idempotency.ts";

/** Somebody asks whether he may send a request with a key. */
export interface ClaimMessage {
  readonly v: 1;
  /** Names the asker, who settles by it; random, at most 64 characters, and another each time. */
  readonly claim: string;
  /** A digest: see `fingerprintParts`. */
  readonly fingerprint: string;
  readonly policy: IdempotencyPolicy;
}

/** An answer as it is kept. */
export interface KeptAnswer {
  readonly status: number;
  readonly statusText: string;
  /** Several `Set-Cookie` as several. */
  readonly headers: readonly KeptField[];
  /** As it is coded; null: there is none. */
  readonly body: ArrayBuffer | null;
}

/** A header field. */
export interface KeptField {
  readonly name: string;
  readonly value: string;
}

/** What whoever asked is to do. Stored before it leaves. */
export type ClaimReply =
  /** To send it, and to settle. */
  | { readonly v: 1; readonly kind: "run" }
  | { readonly v: 1; readonly kind: "replay"; readonly answer: KeptAnswer }
  | { readonly v: 1; readonly kind: "in-flight" | "reused" }
  /** As `KeyAnswer` has it; `until` in ms since the epoch. */
  | { readonly v: 1; readonly kind: "outcome-unknown"; readonly isDone: boolean; readonly until: number };

/** What came of what was sent under a claim. To settle twice is to settle once. */
export interface SettleMessage {
  readonly v: 1;
  readonly claim: string;
  readonly outcome: AttemptOutcome;
  /** With the outcome `stored`; else null. */
  readonly answer: KeptAnswer | null;
}

/** The answer to a `SettleMessage`. */
export interface SettleReply {
  readonly v: 1;
  /** Whether the claim is the key's latest; if not, its outcome is nobody's any more. */
  readonly isLatest: boolean;
}

/** The largest body that is kept; the platform takes rows up to 2 MB, fields included. */
export const MAX_KEPT_BYTES = 1.5 * 2 ** 20;

const OUTCOMES = ["stored", "too-large", "not-sent", "unknown"] as const satisfies readonly AttemptOutcome[];
const VERSION_WANTED = "1; deploy the Worker and its objects together";

/** What is wrong with a claim, in words for a log, or undefined. */
export function claimProblem({ v, claim, fingerprint, policy }: Unchecked<ClaimMessage>): string | undefined {
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (!isText(claim, MAX_ID_LENGTH)) return wanted("claim", claim, "1 to 64 characters");
  if (!isText(fingerprint, MAX_ID_LENGTH)) return wanted("fingerprint", fingerprint, "1 to 64 characters");
  return isPolicy(policy) ? policyProblem(policy) : wanted("policy", policy, "an object");
}

/** What is wrong with a settlement, in words for a log, or undefined. */
export function settleProblem({ v, claim, outcome, answer }: Unchecked<SettleMessage>): string | undefined {
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (!isText(claim, MAX_ID_LENGTH)) return wanted("claim", claim, "1 to 64 characters");
  if (!OUTCOMES.some((known) => known === outcome)) return wanted("outcome", outcome, `one of ${OUTCOMES.join(", ")}`);
  if (outcome === "stored") return isAnswer(answer) ? answerProblem(answer) : wanted("answer", answer, "an object");
  return answer === null ? undefined : wanted("answer", answer, "null");
}

function isPolicy(policy: unknown): policy is Unchecked<IdempotencyPolicy> {
  return typeof policy === "object" && policy !== null;
}

function policyProblem({ ttlMs, deadlineMs, onUnknown }: Unchecked<IdempotencyPolicy>): string | undefined {
  if (!isCount(ttlMs) || ttlMs === 0) return wanted("policy.ttlMs", ttlMs, "an integer >= 1");
  if (!isCount(deadlineMs) || deadlineMs === 0) return wanted("policy.deadlineMs", deadlineMs, "an integer >= 1");
  if (onUnknown === "refuse" || onUnknown === "retry") return undefined;
  return wanted("policy.onUnknown", onUnknown, "refuse or retry");
}

function isAnswer(answer: unknown): answer is Unchecked<KeptAnswer> {
  return typeof answer === "object" && answer !== null;
}

function answerProblem({ status, statusText, headers, body }: Unchecked<KeptAnswer>): string | undefined {
  if (!isCount(status) || status < 200 || status > 599) return wanted("answer.status", status, "200 to 599");
  if (typeof statusText !== "string") return wanted("answer.statusText", statusText, "a text");
  if (!Array.isArray(headers)) return wanted("answer.headers", headers, "a list");
  if (body === null) return undefined;
  if (!(body instanceof ArrayBuffer)) return wanted("answer.body", body, "bytes or null");
  const size = body.byteLength;
  return size > MAX_KEPT_BYTES ? wanted("answer.body", size, `at most ${MAX_KEPT_BYTES} bytes`) : undefined;
}
