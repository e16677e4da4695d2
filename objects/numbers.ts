/** Whether a value is a safe integer. A time may lie before 1970 on a clock that stepped back. */
export function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** Whether a value is a safe integer >= 0. */
export function isCount(value: unknown): value is number {
  return isInteger(value) && value >= 0;
}
