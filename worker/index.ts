import { handle } from "./gateway.ts";

export {
  CircuitBreaker,
  ControlPlane,
  Dedup,
  RateLimiter,
  Rollout,
  SocketRegistry,
  UpstreamQuota,
} from "../objects/index.ts";
export { Origin } from "./origin.ts";
export { WebSocketBridge, WebSocketRelay } from "./web-socket/dialling-relay.ts";
export { Rejecting } from "./web-socket/reject-after-upgrade.ts";

export default {
  fetch: handle,
} satisfies ExportedHandler<Env>;
