import { WebSocketRelay as Relay } from "../../objects/index.ts";
import type { Dialler, DialProps } from "../../objects/web-socket-relay/dial.ts";
import type { RouteAnswer } from "../../objects/web-socket-relay/route-watch.ts";
import { activeConfig } from "../config/active.ts";
import { exchangeFor } from "../origin.ts";
import { dialUpstream, refusedDial } from "./dial-upstream.ts";

/**
 * The object that relays sessions, with the way on which it dials: the tail of a session's route, run in the object itself. Through the
 * entrypoint `Origin`, as other objects do, each message would pass a pump more, and an idle session be 27 KiB more.
 */
export class WebSocketRelay extends Relay {
  protected override dialler({ route, requestId, client, placement, avoided }: DialProps): Dialler {
    const { env, ctx } = this;
    const props = { route, requestId, ...(client && { client }), ...(placement && { placement }) };
    return async (request, stop) => {
      try {
        const exchange = await exchangeFor(request, props, { env, ctx });
        return await dialUpstream(typeof avoided === "string" ? { ...exchange, avoided } : exchange, stop);
      } catch (error) {
        if (stop.signal.aborted) throw error;
        return refusedDial(error, requestId);
      }
    };
  }

  protected override async routeNow(route: string): Promise<RouteAnswer> {
    const { version, routes } = await activeConfig(this.env, this.ctx);
    return { version, mark: routes.get(route)?.mark ?? null };
  }
}

/** The same for sessions of which nothing is stored. Run locally its objects have no storage: the connection to SQLite of one is as much memory as a session. */
export class WebSocketBridge extends WebSocketRelay {}
