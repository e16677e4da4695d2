/** Formatters cost some 60 us each to make; zones come from the configuration, so there are few. */
const formatters = new Map<string, Intl.DateTimeFormat>();

/** Furthest any zone has been from UTC, and a little. */
const MAX_OFFSET_MS = 16 * 3_600_000;

/** Whether the runtime knows this IANA time zone. */
export function isTimeZone(timeZone: string): boolean {
  try {
    formatterOf(timeZone);
    return true;
  } catch {
    return false;
  }
}

/**
 * How far a zone's clocks are ahead of UTC at `time`, in ms.
 *
 * @throws RangeError when the runtime does not know the zone; check with `isTimeZone` first.
 */
export function offsetAt(timeZone: string, time: number): number {
  for (const { type, value } of formatterOf(timeZone).formatToParts(time)) {
    if (type === "timeZoneName") return readOffset(value);
  }
  return 0;
}

/**
 * The first instant at which a zone's clocks show `wallMs` or later, where `wallMs` is what they show taken as UTC.
 * A wall time that is skipped (spring) gives the instant of the skip, one that comes twice (autumn) its first time.
 */
export function firstInstantOf(timeZone: string, wallMs: number): number {
  const [from, until] = [wallMs - MAX_OFFSET_MS, wallMs + MAX_OFFSET_MS];
  const [before, after] = [offsetAt(timeZone, from), offsetAt(timeZone, until)];
  if (before === after) return wallMs - before;
  const change = changeBetween(timeZone, from, until);
  return wallMs - before < change ? wallMs - before : Math.max(change, wallMs - after);
}

/** The first instant after `from`, at most `until`, with the offset of `until`, where there is one change between. */
export function changeBetween(timeZone: string, from: number, until: number): number {
  const before = offsetAt(timeZone, from);
  let [low, high] = [from, until];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(timeZone, middle) === before) low = middle;
    if (low !== middle) high = middle;
  }
  return high;
}

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
    formatters.set(timeZone, formatter);
  }
  return formatter;
}

/** "GMT", "GMT+05:45", or with seconds before zones were whole minutes: "GMT-00:44:30". */
function readOffset(text: string): number {
  const [, sign, hours = "0", minutes = "0", seconds = "0"] = /^GMT(?:([+-])(\d+):(\d+)(?::(\d+))?)?$/.exec(text) ?? [];
  const ms = (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
  return sign === "-" ? -ms : ms;
}
