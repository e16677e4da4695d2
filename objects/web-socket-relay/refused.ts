import type { Dialled } from "./dial.ts";
import { REFUSAL, toField, type Refusal } from "./opening.ts";

/** Tells the Worker that the gateway itself refuses, and why. */
export function refused(refusal: Refusal): Response {
  return new Response(null, { status: 503, headers: { [REFUSAL]: toField(refusal) } });
}

/** The answer to a client for whom no upstream was found that takes its session. */
export function notOpened(dialled: Exclude<Dialled, { readonly kind: "open" }>): Response {
  return dialled.kind === "failed" ? refused(dialled.refusal) : dialled.answer;
}
