/** The Durable Object classes, as `wrangler.jsonc` names them. */
export { RateLimiter } from "./rate-limiter/rate-limiter.ts";
