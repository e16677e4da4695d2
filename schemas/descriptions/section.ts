/** What the reference says about one field. */
export interface FieldNote {
  /** Sentences. Markdown. */
  readonly meaning: string;
  /** As the user would write it; absent: none, the field is required or its absence means something by itself. */
  readonly standard?: string;
}

/**
 * What the reference says about one object. Kept apart from the schemas, which ship in the Worker's bundle, and used by
 * the generator alone; a field without a note, or a note without a field, does not compile.
 */
export interface Section {
  /** Name of the definition in the JSON Schema, and heading of the reference. */
  readonly name: string;
  readonly summary: string;
  readonly schema: object;
  readonly fields: Readonly<Record<string, FieldNote>>;
}

type EntriesOf<Schema> = Schema extends { readonly pipe: readonly (infer Item)[] }
  ? EntriesOf<Item>
  : Schema extends { readonly type: "loose_object"; readonly entries: infer Entries }
    ? Entries
    : never;

/** Describes an object made by `closedObject`. */
export function section<const Schema extends object>(
  name: string,
  schema: Schema,
  summary: string,
  fields: { readonly [Key in keyof EntriesOf<Schema> & string]: FieldNote },
): Section {
  return { name, schema, summary, fields };
}

/** The note of every policy's switch. */
export const enabled = { meaning: "`false` removes the policy where it is written.", standard: "`true`" } as const;

/** The note of something that is validated and waits for its part of the gateway. */
export function pending(meaning: string): FieldNote {
  return { meaning: `${meaning} _Accepted, but does not act yet._` };
}
