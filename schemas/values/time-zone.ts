import * as v from "valibot";

const WANTED = 'an IANA time zone that the runtime knows, such as "Europe/Berlin" or "UTC"';

/** The name of a time zone. Offsets such as "+01:00" are refused: they would be an hour off for half of the year. */
export const timeZoneName = v.pipe(
  v.string(WANTED),
  v.regex(/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/, WANTED),
  v.check(isKnown, WANTED),
);

function isKnown(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
