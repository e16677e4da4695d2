import * as v from "valibot";

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A year: longer windows and deadlines are a slip of the keyboard. */
const MAX_MS = 366 * UNITS.d;

/**
 * A length of time as users write it: a text such as `"150ms"`, `"30s"`, `"5m"`, `"1h"`, `"1d"`, or a number in the unit
 * that the field's name says. Parses to milliseconds, rounded to whole ones.
 *
 * @param unit of a bare number; undefined: only texts are taken, since the field's name says no unit.
 * @param range in milliseconds, both ends included. Default 1 ms to 366 days.
 */
export function duration(unit: "ms" | "s" | undefined, range: { readonly min?: number; readonly max?: number } = {}) {
  const { min = 1, max = MAX_MS } = range;
  const number = unit === undefined ? "" : ` or a number of ${unit === "ms" ? "milliseconds" : "seconds"}`;
  const wanted = `a duration such as "500ms", "30s", "5m", "1h" or "1d"${number}, from ${formatMs(min)} to ${formatMs(max)}`;
  const text = v.pipe(v.string(wanted), v.regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, wanted));
  const written = unit === undefined ? text : v.union([text, v.number(wanted)], wanted);
  return v.pipe(
    written,
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const ms = Math.round(
        typeof dataset.value === "number" ? dataset.value * UNITS[unit ?? "ms"] : readMs(dataset.value),
      );
      if (ms >= min && ms <= max) return ms;
      addIssue({ message: wanted });
      return NEVER;
    }),
  );
}

function readMs(text: string): number {
  const [, amount, unit] = /^([\d.]+)(ms|s|m|h|d)$/.exec(text) ?? [];
  return Number(amount) * (Object.entries(UNITS).find(([name]) => name === unit)?.[1] ?? Number.NaN);
}

/** Milliseconds in the largest unit that holds them whole: 90000 is `90s`, 0 is `0ms`. */
export function formatMs(ms: number): string {
  if (ms === 0) return "0ms";
  const [unit, size] = Object.entries(UNITS).findLast(([, length]) => ms % length === 0) ?? ["ms", 1];
  return `${ms / size}${unit}`;
}
