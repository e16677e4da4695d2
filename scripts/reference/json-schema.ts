import { toJsonSchema, type JsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { ConfigSchema } from "../../schemas/config.ts";
import type { FieldNote, Section } from "../../schemas/descriptions/section.ts";

/** The JSON Schema (draft-07) of the configuration, with a definition and a description for every object of the reference. */
export function configJsonSchema([document, ...others]: readonly Section[]): JsonSchema {
  const definitions = Object.fromEntries(others.map(({ name, schema }) => [name, asSchema(schema)]));
  const root = toJsonSchema(ConfigSchema, {
    definitions,
    // Checks that JSON Schema cannot express are left to the gateway.
    errorMode: "ignore",
    overrideSchema: ({ valibotSchema, jsonSchema }) =>
      valibotSchema.type === "loose_object" ? closed(jsonSchema) : undefined,
  });
  const described = Object.fromEntries(
    others.map((section) => [section.name, describe(root.$defs?.[section.name], section)]),
  );
  return { ...describe(root, document), title: "Sluice configuration", $defs: described };
}

/** `closedObject` refuses unknown keys by itself, around a loose object. */
function closed({ required = [], ...rest }: JsonSchema): JsonSchema {
  return { ...rest, ...(required.length > 0 ? { required } : {}), additionalProperties: false };
}

function describe(schema: JsonSchema | boolean | undefined, section: Section | undefined): JsonSchema {
  if (typeof schema !== "object" || section === undefined)
    throw new Error(`no schema for ${section?.name ?? "nothing"}`);
  const properties = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const note = section.fields[name];
    if (note === undefined || typeof property !== "object") throw new Error(`no note for ${section.name}.${name}`);
    return [name, { ...withoutBareRef(property), description: textOf(note) }];
  });
  return { ...schema, description: plain(section.summary), properties: Object.fromEntries(properties) };
}

/** Draft-07 ignores everything beside a `$ref`. */
function withoutBareRef(schema: JsonSchema): JsonSchema {
  return schema.$ref === undefined ? schema : { allOf: [schema] };
}

function textOf({ meaning, standard }: FieldNote): string {
  return plain(standard === undefined ? meaning : `${meaning} Default: ${standard}.`);
}

function plain(markdown: string): string {
  return markdown.replaceAll("`", "").replaceAll(/(?<=^|\s)_([^_]+)_(?=\s|$)/g, "$1");
}

function asSchema(schema: object): v.GenericSchema {
  if (!("~run" in schema)) throw new Error("not a valibot schema");
  // eslint-disable-next-line typescript/no-unsafe-type-assertion -- sections hold schemas of many types; the check above is what valibot itself relies on
  return schema as v.GenericSchema;
}
