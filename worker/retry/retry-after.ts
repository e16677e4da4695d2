const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";

/** The three forms that RFC 9110, section 5.6.7 obliges a recipient to read: IMF-fixdate, RFC 850, asctime. */
const FORMS: readonly RegExp[] = [
  /^[A-Z][a-z]{2}, (?<day>\d\d) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) GMT$/,
  /^[A-Z][a-z]{5,8}, (?<day>\d\d)-(?<month>[A-Z][a-z]{2})-(?<year>\d\d) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) GMT$/,
  /^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d) (?<year>\d{4})$/,
];

/**
 * How long a `Retry-After` asks to wait, in ms: seconds, or a date of which the past means 0. Undefined where it says nothing that
 * can be read, which is no reason to fail: the wait is ours then.
 *
 * @param now in ms since the epoch.
 */
export function retryAfterMs(value: string | null | undefined, now: number): number | undefined {
  const text = value?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, Number.MAX_SAFE_INTEGER);
  for (const form of FORMS) {
    const groups = form.exec(text)?.groups;
    if (groups === undefined) continue;
    const at = instantOf(groups, now);
    return at === undefined ? undefined : Math.max(0, at - now);
  }
  return undefined;
}

function instantOf(groups: Readonly<Record<string, string>>, now: number): number | undefined {
  const part = (name: string) => Number(groups[name]);
  const month = MONTHS.indexOf(groups["month"] ?? "?") / 3;
  const [day, hour, minute, second] = [part("day"), part("hour"), part("minute"), part("second")];
  if (!Number.isInteger(month) || month < 0 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) {
    return undefined;
  }
  const year = groups["year"]?.length === 2 ? fullYear(part("year"), now) : part("year");
  return (((daysTo(year, month + 1, day) * 24 + hour) * 60 + minute) * 60 + second) * 1_000;
}

/** Two digits that seem to be more than 50 years ahead mean the last century (RFC 9110, section 5.6.7). */
function fullYear(digits: number, now: number): number {
  const thisYear = 1970 + Math.floor(now / 31_556_952_000);
  const year = Math.floor(thisYear / 100) * 100 + digits;
  return year > thisYear + 50 ? year - 100 : year;
}

/** Days from 1 January 1970 in the Gregorian calendar; years begin in March so that a leap day comes last (Hinnant, 2013). */
function daysTo(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const ofEra = shifted - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
}
