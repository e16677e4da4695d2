import { createRegistration } from "../../objects/web-socket-relay/registration.ts";
import { countHandshake } from "../../objects/web-socket-relay/told-counts.ts";
import type { ErrorCode } from "../errors.ts";
import type { Exchange } from "../exchange.ts";

/** No object has come of what is refused here. */
const NO_OBJECT = "0".repeat(64);

/** Counts a handshake that was refused before an object was asked. */
export function countRefusal({ route, env, ctx }: Exchange, code: ErrorCode): void {
  countHandshake(route.route.id, code);
  ctx.waitUntil(createRegistration(env, NO_OBJECT).counted());
}
