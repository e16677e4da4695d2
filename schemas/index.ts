export type * from "./backend-types.ts";
export type * from "./cache-policy.ts";
export type * from "./config-types.ts";
export type * from "./idempotency-types.ts";
export type * from "./placement-types.ts";
export type * from "./rate-limit-types.ts";
export type * from "./traffic-types.ts";
export type * from "./web-socket-types.ts";
export { parseConfig, parseConfigText } from "./parse-config.ts";
