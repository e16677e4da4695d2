import { namesIn } from "./upstream/request-headers.ts";

/** Something that knows the values of header fields by their lower-case names; null for a field that is not there. */
export interface FieldReader {
  get(name: string): string | null;
}

/** A request's header fields, read in one pass: to ask the runtime's `Headers` for one costs 0.5 us each time. */
export interface RequestFields extends FieldReader {
  /** Lower-case names, each once. */
  readonly names: readonly string[];
  /** Bytes of names and values; every value is Latin-1 on the wire, one byte a character. */
  readonly bytes: number;
  /** Lower-case names that the client's `Connection` lists. */
  readonly connectionNames: readonly string[];
  /**
   * What may be decided by: the client's fields without those that its `Connection` names. They never reach the origin, so
   * a client could otherwise pick a route or a limit's bucket by a value that nobody behind the gateway sees.
   */
  readonly endToEnd: FieldReader;
}

/** Reads all fields. `forEach` is the cheapest way through them: 2.8 us for ten fields against 4.8 us for an iterator. */
export function readFields(headers: Headers): RequestFields {
  const names: string[] = [];
  const values: string[] = [];
  let bytes = 0;
  headers.forEach((value, name) => {
    bytes += name.length + value.length;
    const last = names.length - 1;
    // Fields come sorted, and only Set-Cookie comes as several.
    if (names[last] === name) {
      values[last] += `, ${value}`;
      return;
    }
    names.push(name);
    values.push(value);
  });
  const get = (name: string): string | null => {
    const at = names.indexOf(name);
    return at === -1 ? null : (values[at] ?? null);
  };
  const connectionNames = namesIn(get("connection") ?? "");
  const endToEnd =
    connectionNames.length === 0
      ? { get }
      : { get: (name: string) => (connectionNames.includes(name) ? null : get(name)) };
  return { names, bytes, connectionNames, endToEnd, get };
}
