/** A request's header fields read in one pass: what the guard measures and what the origin will be sent. */
export interface RequestFields {
  /** Lower-case names; repeated fields are joined as RFC 9110 5.3 allows. */
  readonly list: readonly (readonly [name: string, value: string])[];
  /** Bytes of names and values; every value is Latin-1 on the wire, one byte a character. */
  readonly bytes: number;
}

/** Reads all fields. Iterating once is cheaper than a dozen lookups, each of which crosses into the runtime. */
export function readFields(headers: Headers): RequestFields {
  const list: [string, string][] = [];
  let bytes = 0;
  for (const [name, value] of headers) {
    list.push([name, value]);
    bytes += name.length + value.length;
  }
  return { list, bytes };
}
