import { REFUSAL, toField, type Refusal } from "./opening.ts";

/** Tells the Worker that the gateway itself refuses, and why. */
export function refused(refusal: Refusal): Response {
  return new Response(null, { status: 503, headers: { [REFUSAL]: toField(refusal) } });
}
