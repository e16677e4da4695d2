/** The Durable Object classes, as `wrangler.jsonc` names them. */
export { CircuitBreaker } from "./circuit-breaker/circuit-breaker.ts";
export { ControlPlane } from "./control-plane/control-plane.ts";
export { Dedup } from "./dedup/dedup.ts";
export { RateLimiter } from "./rate-limiter/rate-limiter.ts";
export { Rollout } from "./rollout/rollout.ts";
export { SocketRegistry } from "./socket-registry/socket-registry.ts";
export { UpstreamQuota } from "./upstream-quota/upstream-quota.ts";
export { WebSocketRelay } from "./web-socket-relay/web-socket-relay.ts";
