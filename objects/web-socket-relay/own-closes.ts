import type { Close } from "./close-codes.ts";

/** What the gateway says of its own accord, to a side or both. */
export const TOO_LARGE: Close = { code: 1009, reason: "message too large" };
export const TOO_MANY: Close = { code: 1008, reason: "too many messages" };
export const TOO_MUCH: Close = { code: 1013, reason: "too much data" };
export const AWAY: Close = { code: 1001, reason: "closed by the gateway" };
export const IDLE: Close = { code: 4408, reason: "idle" };
export const EXPIRED: Close = { code: 4401, reason: "credentials expired" };
/** Opened while its route was drained. Not 1012: who holds a session would be back in it. */
export const DRAINED: Close = { code: 1001, reason: "draining" };
/** Its client has left in the moment of the 101. */
export const UNTAKEN: Close = { code: 1001, reason: "client lost" };
/** To be opened anew. */
export const TOO_OLD: Close = { code: 1012, reason: "open for too long" };
