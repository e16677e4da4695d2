/**
 * Writes what is generated from the configuration's schemas: the JSON Schema that editors read, and the reference.
 * With `--check` nothing is written, and a stale file ends the process with 1.
 */
import { readFile, writeFile } from "node:fs/promises";
import { sections } from "../schemas/descriptions/document.ts";
import { errorsMarkdown } from "./reference/errors-markdown.ts";
import { configJsonSchema } from "./reference/json-schema.ts";
import { referenceMarkdown } from "./reference/markdown.ts";

const schema = configJsonSchema(sections);
/** Keywords of VS Code's own: without them it underlines, in a .json file, what the gateway accepts. */
const editor = { allowComments: true, allowTrailingCommas: true };
const files = [
  {
    url: new URL("../schemas/config.schema.json", import.meta.url),
    text: `${JSON.stringify({ ...schema, ...editor }, null, 2)}\n`,
  },
  { url: new URL("../docs/reference/configuration.md", import.meta.url), text: referenceMarkdown(sections, schema) },
  { url: new URL("../docs/reference/errors.md", import.meta.url), text: errorsMarkdown() },
];

const isCheck = process.argv.includes("--check");
for (const { url, text } of files) {
  const current = await readFile(url, "utf8").catch(() => "");
  if (current === text) continue;
  const name = url.pathname.split("/").slice(-2).join("/");
  if (!isCheck) {
    await writeFile(url, text);
    console.log(`wrote ${name}`);
    continue;
  }
  console.error(`${name} is stale: npm run reference`);
  process.exitCode = 1;
}
