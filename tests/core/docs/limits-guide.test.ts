import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { configJsonSchema } from "../../../scripts/reference/json-schema.ts";
import { parseConfig, parseConfigText } from "../../../schemas/index.ts";
import { sections } from "../../../schemas/descriptions/document.ts";

const guide = readFileSync(new URL("../../../docs/guide/limits.md", import.meta.url), "utf8");

it.each([...guide.matchAll(/```jsonc\n([^]*?)```/g)].map(([, block = ""]) => [block]))(
  "a configuration of the guide loads without a warning:\n%s",
  (block) => {
    expect(parseConfigText(block)).toEqual({ ok: true, config: expect.anything(), warnings: [] });
  },
);

it.each(["cost", "settle", "rateLimitMultiplier", "ban"])("what the guide writes of %s inline is valid", (field) => {
  const written = [...guide.matchAll(/`("(\w+)": [^`]+)`/g)].filter(([, , name]) => name === field);
  expect(written).not.toEqual([]);
  for (const [, text = ""] of written) {
    const fields: object = JSON.parse(`{${text}}`);
    const limit = { requestsPerWindow: 100, window: "1m" };
    const route = { prefix: "/", target: "https://a.example.com" };
    const document =
      field === "rateLimitMultiplier"
        ? { rateLimit: limit, routes: [{ ...route, ...fields }] }
        : { routes: [{ ...route, rateLimit: { ...limit, ...fields } }] };
    expect(parseConfig(document), text).toMatchObject({ ok: true, warnings: [] });
  }
});

it("the guide's first tables list every algorithm, identity and failure policy", () => {
  const [, algorithms = "", identities = "", policies = ""] =
    /## Pick an algorithm([^]*?)## Who is one client([^]*?)## What a request costs[^]*## When the owner([^]*?)## What/.exec(
      guide,
    ) ?? [];
  expect(codeInRows(algorithms, 1)).toEqual(textsOf("algorithm"));
  expect(codeInRows(identities, 0)).toEqual([
    "ip",
    "header:NAME",
    "cookie:NAME",
    "principal",
    "consumer",
    "claim:NAME",
    "route",
    "all",
  ]);
  expect(codeInRows(policies, 0)).toEqual(textsOf("onError"));
});

/** The code spans in one column of a table, its heading left out. */
function codeInRows(text: string, column: number): readonly string[] {
  const rows = [...text.matchAll(/^\|(.*)\|$/gm)].slice(2).map(([, row = ""]) => row.split(" | "));
  return rows.flatMap((cells) => [...(cells[column] ?? "").matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code));
}

/** What a field of a limit may be, by the schema. */
function textsOf(field: string): unknown {
  const limit = configJsonSchema(sections).$defs?.["RateLimit"];
  const property = typeof limit === "object" ? limit.properties?.[field] : undefined;
  return typeof property === "object" ? property.enum : undefined;
}
