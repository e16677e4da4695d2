import * as v from "valibot";
import type { StatusRange } from "../backend-types.ts";
import { listOf } from "./primitives.ts";

/**
 * Status codes as users write them: one (`401`), or a class (`"4xx"`). Parses to a range.
 *
 * @param least the first class that makes sense, in hundreds.
 */
export function statusOf(least: 2 | 4) {
  const wanted = wantedStatus(least);
  const code = v.pipe(
    v.number(wanted),
    v.safeInteger(wanted),
    v.minValue(least * 100, wanted),
    v.maxValue(599, wanted),
  );
  const someClass = v.pipe(v.string(wanted), v.regex(least === 2 ? /^[2-5]xx$/ : /^[45]xx$/, wanted));
  return v.pipe(
    v.union([code, someClass], wanted),
    v.transform((written): StatusRange => {
      if (typeof written === "number") return { from: written, to: written };
      const hundreds = Number(written.slice(0, 1)) * 100;
      return { from: hundreds, to: hundreds + 99 };
    }),
  );
}

/** What is wanted of one status or class. */
export function wantedStatus(least: 2 | 4): string {
  return `a status from ${least}00 to 599 or a class such as "${least === 2 ? 4 : 5}xx"`;
}

/** One status or class, or an array of at least one. Parses to ranges. */
export function statusList(least: 2 | 4) {
  const wanted = `${wantedStatus(least)}, or an array of these`;
  const one = statusOf(least);
  return v.pipe(
    v.union([one, listOf(one, wanted, wanted)], wanted),
    v.transform((ranges): readonly StatusRange[] => (Array.isArray(ranges) ? ranges : [ranges])),
  );
}

/** Error statuses: one, or an array. Parses to the codes themselves, each once, in order. */
export const errorStatuses = v.pipe(
  statusList(4),
  v.transform((ranges) => [...new Set(ranges.flatMap(codesOf))].toSorted((a, b) => a - b)),
);

function codesOf({ from, to }: StatusRange): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
