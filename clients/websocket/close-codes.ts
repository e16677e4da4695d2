/** Of the gateway: come back, at once or when it asks for it. */
export const COME_BACK = 1012;
/** Of the gateway: another connection of the session has come later. */
export const SUPERSEDED = 4409;
/** Of the gateway: the session cannot be resumed. */
export const GONE = 4410;
/** Of the gateway: more came for the client than could be held. */
export const HOLD_OVERFLOW = 4413;
/** There was no Close frame. */
export const LOST = 1006;
