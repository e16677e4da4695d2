import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { sections } from "../../../schemas/descriptions/document.ts";
import { parseConfigText } from "../../../schemas/index.ts";
import { configJsonSchema } from "../../../scripts/reference/json-schema.ts";

const guide = readFileSync(new URL("../../../docs/guide/backends.md", import.meta.url), "utf8");

it.each([...guide.matchAll(/```jsonc\n([^]*?)```/g)].map(([, block = ""]) => [block]))(
  "a configuration of the guide loads without a warning:\n%s",
  (block) => {
    expect(parseConfigText(block)).toEqual({ ok: true, config: expect.anything(), warnings: [] });
  },
);

it("the guide lists every algorithm, in the order of the schema", () => {
  const [, table = ""] = /## Several targets([^]*?)```/.exec(guide) ?? [];
  const listed = [...table.matchAll(/^\| `([\w-]+)` +\|/gm)].map(([, name]) => name);
  const balance = configJsonSchema(sections).$defs?.["Balance"];
  const algorithm = typeof balance === "object" ? balance.properties?.["algorithm"] : undefined;
  expect(listed.slice(1)).toEqual(typeof algorithm === "object" ? algorithm.enum : undefined);
});

it("the guide's links to its own headings lead somewhere", () => {
  const headings = [...guide.matchAll(/^## (.+)$/gm)].map(([, heading = ""]) => heading.toLowerCase());
  const anchors = new Set(headings.map((heading) => heading.replaceAll(/[^\w ]/g, "").replaceAll(" ", "-")));
  const links = [...guide.matchAll(/\]\(#([\w-]+)\)/g)].map(([, anchor = ""]) => anchor);
  expect(links.filter((anchor) => !anchors.has(anchor))).toEqual([]);
});
