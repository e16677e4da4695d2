import type { QuotaPolicy } from "../../objects/upstream-quota/quota-policy.ts";
import { QUOTA_PRESETS } from "../../schemas/policies/backends/quota.ts";

/** What the entry of egress tests keeps to: preset 1 in small, so that a test sees several windows. */
export const EGRESS_POLICY: QuotaPolicy = {
  ...QUOTA_PRESETS["30-per-minute"],
  requests: 6,
  windowMs: 2_000,
  burst: 3,
  spacingMs: 50,
};

/** How long each request can wait, in ms. */
export const EGRESS_WAIT_MS = 20_000;
