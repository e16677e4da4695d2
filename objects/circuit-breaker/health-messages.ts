/** What the owner of a target asks the gateway's inner entrypoint, which alone reaches targets, and only configured ones. */
export interface HealthQuestion {
  readonly v: 1;
  readonly target: string;
  /** A backend of which the target is one, and whose health check is to be made. */
  readonly backend: string;
  /** The version of the configuration that asked for checks. */
  readonly configVersion: number;
}

/** What came of a check. */
export type HealthAnswer =
  | ({ readonly kind: "judged" } & HealthFinding)
  /** The configuration names no such check (any more): nobody has use for it. */
  | { readonly kind: "not-configured" }
  /** Nothing was learnt of the target, for a reason that is not its own. */
  | { readonly kind: "unknown"; readonly detail: string };

/** What a check found. */
export interface HealthFinding {
  readonly ok: boolean;
  /** Of the answer; null: there was none. */
  readonly status: number | null;
  /** Until the verdict: with a body to look into, until it was found. */
  readonly durationMs: number;
  /** Why it failed, or what it saw, in a few words. */
  readonly detail: string;
}
