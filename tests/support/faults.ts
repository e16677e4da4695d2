/**
 * How an owner fails. `late` answers rightly, 400 ms after it was asked; `busy` takes 100 ms for each call and lets the
 * others queue; `stuck` blocks the whole object.
 */
export const FAULTS = ["hang", "stuck", "throw", "late", "busy", "overloaded", "abort"] as const;
export type Fault = (typeof FAULTS)[number];
