import { isOutdated } from "../config-version.ts";
import type { LiveSession } from "./live-session.ts";
import type { Opening } from "./opening.ts";

/** What is to happen to a session whose route changes. It travels as JSON. */
export interface RouteTerms {
  /** Of the route that it was opened by, as `routeMark` says. */
  readonly mark: string;
  /** Over which time sessions end; 0: at once. */
  readonly drainMs: number;
}

/** A route as the active configuration has it; null: it has none, or no WebSockets there. */
export interface RouteAnswer {
  readonly version: number;
  readonly mark: string | null;
}

/** Ends sessions whose route has changed. */
export interface RouteWatch {
  /**
   * @param dialledBy the mark of the route by which its upstream was dialled; null: none was. Not that of the opening where this
   * isolate has another configuration than the Worker's, which may be an older one.
   */
  add(opening: Opening, session: LiveSession, dialledBy: string | null): void;
  /** It has ended. */
  drop(id: string): void;
  /** To be called every ten seconds, or more often: asks once for all sessions of a route. Never rejects. */
  look(now: number): Promise<void>;
}

/** Each session of an object calls in its own time. */
const ENOUGH_MS = 5_000;
const COME_AGAIN = 1012;
/** Who holds a session would find it again, with the upstream that it has. */
const GO_AWAY = 1001;

/**
 * It has no timer of its own: each is 3 KiB, and there is one more thing that wakes every ten seconds.
 *
 * @param ask what the active configuration says of a route.
 */
export function createRouteWatch(ask: (route: string) => RouteAnswer | Promise<RouteAnswer>): RouteWatch {
  const watched = new Map<
    string,
    { readonly opening: Opening; readonly session: LiveSession; readonly dialledBy: string | null }
  >();
  let lookedAt = 0;

  async function lookAt(route: string): Promise<void> {
    try {
      const { version, mark } = await ask(route);
      for (const [id, { opening, session, dialledBy }] of watched) {
        const { onChange, held } = opening;
        if (opening.route !== route || onChange === undefined) continue;
        if (mark === onChange.mark && mark === (dialledBy ?? mark)) continue;
        // Whoever opened it knew more.
        if (isOutdated(version, opening.configVersion)) continue;
        watched.delete(id);
        end(session, held === undefined ? COME_AGAIN : GO_AWAY, Math.random() * onChange.drainMs);
      }
    } catch {
      // Nobody knows of a change, so there is none yet.
    }
  }

  function end(session: LiveSession, code: number, afterMs: number): void {
    const close = () => session.close({ code, reason: "route changed" });
    if (afterMs === 0) close();
    else setTimeout(close, afterMs);
  }

  return {
    add(opening, session, dialledBy) {
      // Who comes back to a session has what it was opened with.
      if (watched.has(opening.session)) return;
      watched.set(opening.session, { opening, session, dialledBy });
    },
    drop(id) {
      watched.delete(id);
    },
    async look(now) {
      // A clock that was set back would be waited for.
      if (Math.abs(now - lookedAt) < ENOUGH_MS) return;
      lookedAt = now;
      const routes = new Set([...watched.values()].map(({ opening }) => opening.route));
      await Promise.all([...routes].map(lookAt));
    },
  };
}
