import type { JsonSchema } from "@valibot/to-json-schema";
import type { Section } from "../../schemas/descriptions/section.ts";

const HEADER = `# Configuration reference

Generated from the schemas by \`npm run reference\`; do not edit.

One JSON document, comments and trailing commas allowed. An unknown key is an error, and so are a key given twice and the
keys \`__proto__\`, \`constructor\` and \`prototype\` anywhere. Every problem is reported at once.

## Durations

A text such as \`"150ms"\`, \`"30s"\`, \`"5m"\`, \`"1h"\` or \`"1d"\`. Where the field's name or its description says a unit, a bare
number counts in it.

## Sizes

A whole number of bytes, or a text such as \`"64KiB"\`, \`"2MB"\` or \`"10MiB"\` (KB is 1,000 bytes, KiB 1,024).
`;

// Texts with one of these patterns are known by a name.
const NAMED_TEXTS: readonly [marker: string, name: string][] = [
  ["(ms|s|m|h|d)", "[duration](#durations)"],
  ["(B|KB|KiB|MB|MiB|GB|GiB)", "[size](#sizes)"],
];

/** The configuration reference: a table per object. */
export function referenceMarkdown(sections: readonly Section[], root: JsonSchema): string {
  const parts = sections.map((section, index) => {
    const schema = index === 0 ? root : root.$defs?.[section.name];
    const properties = typeof schema === "object" ? (schema.properties ?? {}) : {};
    const rows = Object.entries(section.fields).map(([name, { meaning, standard = "" }]) => {
      const property = properties[name];
      const type = typeof property === "object" ? typeText(property) : "";
      return `| \`${name}\` | ${type} | ${standard} | ${meaning} |`;
    });
    return [
      `## ${section.name}`,
      "",
      section.summary,
      "",
      "| field | type | default | meaning |",
      "|---|---|---|---|",
      ...rows,
      "",
    ].join("\n");
  });
  return [HEADER, ...parts].join("\n");
}

function typeText(schema: JsonSchema): string {
  const [reference] = schema.allOf ?? [schema];
  if (typeof reference === "object" && reference.$ref !== undefined) {
    const name = reference.$ref.slice("#/$defs/".length);
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(" or ");
  if (schema.anyOf !== undefined) {
    const options = schema.anyOf.map((option) => (typeof option === "object" ? typeText(option) : "any"));
    return [...new Set(options)].join(" or ");
  }
  if (schema.type === "array") return arrayText(schema.items);
  if (schema.type === "object") return objectText(schema.additionalProperties);
  const named = NAMED_TEXTS.find(([marker]) => schema.pattern?.includes(marker));
  return named?.[1] ?? (typeof schema.type === "string" ? schema.type : "any");
}

function arrayText(items: JsonSchema["items"]): string {
  if (typeof items !== "object" || Array.isArray(items)) return "array";
  const item = typeText(items);
  return item === "any" ? "array" : `array of ${item}`;
}

function objectText(values: JsonSchema["additionalProperties"]): string {
  const value = typeof values === "object" ? typeText(values) : "any";
  return value === "any" ? "object" : `object of ${value}`;
}
