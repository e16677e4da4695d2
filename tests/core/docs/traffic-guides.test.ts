import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parseConfig } from "../../../schemas/index.ts";
import { parseJsonc } from "../../../schemas/document/parse-jsonc.ts";

it.each([
  ["overload", 2],
  ["mirror", 1],
  ["batch", 1],
])("the guide to %s shows documents that load without a warning", (guide, count) => {
  const text = readFileSync(new URL(`../../../docs/guide/${guide}.md`, import.meta.url), "utf8");
  const documents = [...text.matchAll(/```jsonc\n([^`]*)```/g)].map(([, document = ""]) => parseJsonc(document));
  expect(documents).toHaveLength(count);
  for (const { value } of documents) expect(parseConfig(value)).toMatchObject({ ok: true, warnings: [] });
});
