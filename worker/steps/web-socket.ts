import type { WebSocketSettings } from "../../schemas/index.ts";
import { ERRORS, GatewayError } from "../errors.ts";
import type { Exchange, Handler, Step } from "../exchange.ts";
import { asksStatus } from "../web-socket/ask-held.ts";
import { countRefusal } from "../web-socket/count-refusal.ts";
import { closeCodeOf, rejectAfterUpgrade } from "../web-socket/reject-after-upgrade.ts";
import { checkHandshake, isUpgrade, upgradeRequired } from "../web-socket/upgrade.ts";

/** Lets handshakes pass that may come at all; stands first, so that it can say what every later step has against one. */
export function handshake(settings: WebSocketSettings): Step {
  return async function handshakeStep(exchange: Exchange, next: Handler): Promise<Response> {
    if (!isUpgrade(exchange)) {
      if (settings.required && !(settings.held !== undefined && asksStatus(exchange)))
        throw upgradeRequired("This route serves WebSockets alone.");
      return next(exchange);
    }
    try {
      checkHandshake(exchange, settings);
      return await next(exchange);
    } catch (error) {
      if (error instanceof GatewayError && exchange.notes.isCounted !== true) countRefusal(exchange, error.code);
      const isReadable = error instanceof GatewayError && error.code !== "upgrade-required";
      if (!settings.rejectAfterUpgrade || !isReadable) throw error;
      exchange.notes.code = error.code;
      exchange.notes.error = error;
      const { code } = error;
      return await rejectAfterUpgrade(
        exchange,
        { code: closeCodeOf(ERRORS[code].status), reason: code },
        settings.closeMs,
      );
    }
  };
}

/**
 * Takes handshakes off the way of ordinary requests, after every policy about the client.
 *
 * @param open opens a session, or says what is known of it.
 * @param limit counts how often sessions are opened; undefined: nobody does.
 * @param isHeld whether clients may ask what is known of their sessions.
 */
export function webSocket(open: Handler, limit: Step | undefined, isHeld: boolean): Step {
  return function webSocketStep(exchange: Exchange, next: Handler): Promise<Response> {
    if (!isUpgrade(exchange)) return isHeld && asksStatus(exchange) ? open(exchange) : next(exchange);
    return limit === undefined ? open(exchange) : limit(exchange, open).catch(tooMany);
  };
}

function tooMany(error: unknown): never {
  if (!(error instanceof GatewayError) || error.code !== "quota-exceeded") throw error;
  const { message, headers, members } = error;
  throw new GatewayError("too-many-connections", { detail: message, headers, members });
}
