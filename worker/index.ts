import { handle } from "./gateway.ts";

export {
  CircuitBreaker,
  ControlPlane,
  Dedup,
  RateLimiter,
  Rollout,
  SocketRegistry,
  UpstreamQuota,
  WebSocketRelay,
} from "../objects/index.ts";
export { Origin } from "./origin.ts";

export default {
  fetch: handle,
} satisfies ExportedHandler<Env>;
