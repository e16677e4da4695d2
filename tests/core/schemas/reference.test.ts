import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { ConfigSchema } from "../../../schemas/config.ts";
import { sections } from "../../../schemas/descriptions/document.ts";
import { RateLimitSchema } from "../../../schemas/policies/rate-limit/rate-limit.ts";
import { RouteSchema } from "../../../schemas/routes/route.ts";
import { configJsonSchema } from "../../../scripts/reference/json-schema.ts";

it("the JSON Schema and the reference say what the schemas say", () => {
  const generator = fileURLToPath(new URL("../../../scripts/generate-reference.ts", import.meta.url));
  expect(execFileSync(process.execPath, [generator, "--check"], { encoding: "utf8" })).toBe("");
});

it("the JSON Schema refuses unknown keys in every object with fields, and describes each field", () => {
  const schema = configJsonSchema(sections);
  const objects = [schema, ...Object.values(schema.$defs ?? {})];
  expect(objects).toHaveLength(sections.length);
  for (const object of objects) {
    expect(object).toMatchObject({ type: "object", additionalProperties: false, description: expect.any(String) });
    const properties = typeof object === "object" ? Object.values(object.properties ?? {}) : [];
    for (const property of properties) expect(property).toMatchObject({ description: expect.any(String) });
  }
});

it("the reference has a section for the document, the route and the rate limit", () => {
  const described = sections.map(({ schema }) => schema);
  expect(described).toEqual(expect.arrayContaining([ConfigSchema, RouteSchema, RateLimitSchema]));
  const text = readFileSync(new URL("../../../docs/reference/configuration.md", import.meta.url), "utf8");
  const headings = [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual(["Durations", "Sizes", ...sections.map(({ name }) => name)]);
});
