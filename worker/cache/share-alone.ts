import { DEFAULT_CACHE, type CachePolicy } from "../../schemas/cache-policy.ts";

/** How requests of a route are shared that keeps no responses: by the same rules, and in no tier. */
export const SHARE_ALONE: CachePolicy = {
  ...DEFAULT_CACHE,
  maxBytes: 0,
  tiers: { colo: undefined, kv: undefined, r2: undefined },
};
