/** Of the gateway: come back, at once or when it asks for it. */
const COME_BACK = 1012;
/** Of the gateway: another connection of the session has come later. */
const SUPERSEDED = 4409;
/** Of the gateway: the session cannot be resumed. */
export const GONE = 4410;
/** Of the gateway: more came for the client than could be held. */
export const HOLD_OVERFLOW = 4413;
/** There was no Close frame. */
export const LOST = 1006;

/**
 * What it means that a connection was closed: `gone`, the session cannot be resumed; `over`, it has ended; `brief`, only the connection has.
 *
 * @param isHeld whether there is a session to go on with; where nobody holds one, the codes from 4000 on are the backend's own.
 */
export function closeMeaning(code: number, wasClean: boolean, isHeld: boolean): "gone" | "over" | "brief" {
  if (isHeld && (code === GONE || code === HOLD_OVERFLOW)) return "gone";
  // The session's name is nobody else's: only a connection that was left, and came to the gateway after this one, takes over from it.
  const isBrief = code === COME_BACK || code === LOST || (isHeld && code === SUPERSEDED);
  return wasClean && !isBrief ? "over" : "brief";
}
