import type { MirrorSettings } from "../../schemas/index.ts";

/** A request of the client's that was sent to its backend. */
export interface MirroredRequest {
  readonly method: string;
  /** It asks for another protocol: there is no copy of a connection. */
  readonly isUpgrade: boolean;
  readonly body: MirroredBody;
}

/** What the gateway holds of a request's body. */
export type MirroredBody =
  | { readonly kind: "none" }
  /** All of it is kept, so that it can be sent again. */
  | { readonly kind: "kept"; readonly bytes: number }
  /**
   * It passes through. A copy would have to be made on the way, at the speed of the slower of the two backends or in memory without a
   * bound.
   */
  | { readonly kind: "streamed" };

/** Whether to copy a request; else why not, to be counted. */
export type MirrorDecision = { readonly kind: "mirror" } | { readonly kind: "skip"; readonly why: MirrorSkip };

export type MirrorSkip = "not-sampled" | "method" | "upgrade" | "body-not-kept" | "body-too-long" | "too-many";

const MIRROR: MirrorDecision = { kind: "mirror" };
const SKIPS: Readonly<Record<MirrorSkip, MirrorDecision>> = {
  "not-sampled": { kind: "skip", why: "not-sampled" },
  method: { kind: "skip", why: "method" },
  upgrade: { kind: "skip", why: "upgrade" },
  "body-not-kept": { kind: "skip", why: "body-not-kept" },
  "body-too-long": { kind: "skip", why: "body-too-long" },
  "too-many": { kind: "skip", why: "too-many" },
};

/**
 * Decides about a copy, without memory for it and without a wait. To be asked when the request has been sent, and the copy to be sent
 * after the head of the answer: an invocation may wait for six heads at once, and it must not be the answer that waits.
 *
 * @param inFlight copies on their way; each to be counted for `timeoutMs` at most, so that a dead mirror holds no place for longer.
 * @param sample in [0, 1), another number each time.
 */
export function mayMirror(
  { method, isUpgrade, body }: MirroredRequest,
  policy: Omit<MirrorSettings, "backend">,
  inFlight: number,
  sample: number,
): MirrorDecision {
  if (sample >= policy.share) return SKIPS["not-sampled"];
  if (isUpgrade) return SKIPS.upgrade;
  if (policy.methods !== undefined && !policy.methods.includes(method)) return SKIPS.method;
  if (body.kind === "streamed") return SKIPS["body-not-kept"];
  if (body.kind === "kept" && body.bytes > policy.maxBodyBytes) return SKIPS["body-too-long"];
  return inFlight >= policy.maxInFlight ? SKIPS["too-many"] : MIRROR;
}
