/** Header lines as they stood on the wire: order, case and repetitions kept. */
export type HeaderLines = readonly (readonly [name: string, value: string])[];

/** A request line or status line with its header lines. */
export interface MessageHead {
  readonly firstLine: string;
  readonly headers: HeaderLines;
  /** Every byte up to and including the blank line, as latin1. */
  readonly raw: string;
}

/**
 * Splits a raw head strictly: CRLF line ends, a token, a colon. Throws on anything else, so that a test cannot overlook
 * a malformed line that a lenient parser would repair.
 */
export function parseHead(raw: string): MessageHead {
  const [firstLine = "", ...lines] = raw.slice(0, -4).split("\r\n");
  const headers = lines.map((line): readonly [string, string] => {
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*?)[ \t]*$/.exec(line);
    if (match === null) throw new Error(`malformed header line ${JSON.stringify(line)}`);
    return [match[1] ?? "", match[2] ?? ""];
  });
  return { firstLine, headers, raw };
}

/** Every value of one header, in the order of the wire; the name is compared without case. */
export function valuesOf(headers: HeaderLines, name: string): readonly string[] {
  return headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}

/** The header's one value, or undefined when it is absent; throws when it stands more than once. */
export function valueOf(headers: HeaderLines, name: string): string | undefined {
  const values = valuesOf(headers, name);
  if (values.length > 1) throw new Error(`${name} stands ${values.length} times: ${values.join(" | ")}`);
  return values[0];
}

/** The header names, lower-case, in the order of the wire. */
export function namesOf(headers: HeaderLines): readonly string[] {
  return headers.map(([name]) => name.toLowerCase());
}
