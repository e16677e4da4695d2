const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTH_NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_MS = 86_400_000;
const DAYS_OF_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const DAY = "(?:mon|tue|wed|thu|fri|sat|sun)";
const LONG_DAY = "(?:mon|tues|wednes|thurs|fri|satur|sun)day";
const TIME = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`;
const MONTH = "(?<month>[a-z]{3})";

/** The three forms of RFC 9110, section 5.6.7: IMF-fixdate, RFC 850, asctime. Names in any case, everything else to the letter. */
const FORMS: readonly RegExp[] = [
  new RegExp(String.raw`^${DAY}, (?<day>\d\d) ${MONTH} (?<year>\d{4}) ${TIME} gmt$`),
  new RegExp(String.raw`^${LONG_DAY}, (?<day>\d\d)-${MONTH}-(?<year>\d\d) ${TIME} gmt$`),
  new RegExp(String.raw`^${DAY} ${MONTH} (?<day>[ \d]\d) ${TIME} (?<year>\d{4})$`),
];

/**
 * The instant that an HTTP-date names, in ms since the epoch; undefined for anything that is not one to the letter. A lenient reader
 * (`Date.parse`) takes "Thu, 18 Aug 2050 2:01:18" and "0", so that a response that its origin called expired would be kept for years.
 *
 * @param now in ms since the epoch: two digits of a year that seem more than 50 years ahead mean the last century.
 */
export function parseHttpDate(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  const text = value.toLowerCase();
  for (const form of FORMS) {
    const groups = form.exec(text)?.groups;
    if (groups !== undefined) return instantOf(groups, now);
  }
  return undefined;
}

/** The IMF-fixdate of an instant, in ms since the epoch; the form that RFC 9110, section 5.6.7 wants written. */
export function formatHttpDate(at: number): string {
  const days = Math.floor(at / DAY_MS);
  const { year, month, day } = dateOf(days);
  const seconds = Math.floor((at - days * DAY_MS) / 1_000);
  const time = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60].map(twoDigits).join(":");
  // 1 January 1970 was a Thursday.
  const weekday = WEEKDAYS[(((days + 4) % 7) + 7) % 7] ?? "";
  return `${weekday}, ${twoDigits(day)} ${MONTH_NAMES[month - 1] ?? ""} ${String(year).padStart(4, "0")} ${time} GMT`;
}

function instantOf(groups: Readonly<Record<string, string>>, now: number): number | undefined {
  const part = (name: string) => Number(groups[name]);
  const month = MONTH_NAMES.findIndex((name) => name.toLowerCase() === groups["month"]);
  const year = groups["year"]?.length === 2 ? fullYear(part("year"), now) : part("year");
  const [day, hour, minute, second] = [part("day"), part("hour"), part("minute"), part("second")];
  if (month < 0) return undefined;
  const last = (DAYS_OF_MONTH[month] ?? 0) + (month === 1 && isLeap(year) ? 1 : 0);
  // 60: a leap second.
  if (day < 1 || day > last || hour > 23 || minute > 59 || second > 60) return undefined;
  return (((daysTo(year, month + 1, day) * 24 + hour) * 60 + minute) * 60 + second) * 1_000;
}

function fullYear(digits: number, now: number): number {
  const thisYear = 1970 + Math.floor(now / 31_556_952_000);
  const year = Math.floor(thisYear / 100) * 100 + digits;
  return year > thisYear + 50 ? year - 100 : year;
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

/** Days from 1 January 1970; years begin in March so that a leap day comes last (Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013). */
function daysTo(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const ofEra = shifted - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
}

/** The inverse of `daysTo`, by the same author. */
function dateOf(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const ofEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1_460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}
