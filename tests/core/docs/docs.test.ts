import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { parseConfigText } from "../../../schemas/index.ts";

const root = new URL("../../../", import.meta.url);

const pages = [
  "README.md",
  ...["design", "guide", "reference"].flatMap((folder) =>
    markdownIn(`docs/${folder}`).map((file) => `docs/${folder}/${file}`),
  ),
];

it.each(pages)("%s links to files that exist", (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, link = ""]) => link);

  expect(links.filter((link) => !existsSync(new URL(link, new URL(page, root))))).toEqual([]);
});

it("the design's overview lists every page of it", () => {
  const listed = [...read("docs/design/README.md").matchAll(/\]\(([a-z-]+\.md)\)/g)].map(([, file]) => file);

  expect(new Set(["README.md", ...listed])).toEqual(new Set(markdownIn("docs/design")));
});

it("README leads to every guide", () => {
  const linked = [...read("README.md").matchAll(/docs\/guide\/([a-z-]+\.md)/g)].map(([, file]) => file);

  expect(new Set(linked)).toEqual(new Set(markdownIn("docs/guide")));
});

it("the configuration guide shows what a document with mistakes is told", () => {
  const [, document = "", told = ""] =
    /```json\n([^]*?)```\n\n```\n([^]*?)```/.exec(read("docs/guide/configuration.md")) ?? [];

  const result = parseConfigText(document);

  const problems = result.ok
    ? []
    : result.problems.map(({ path, got, wanted }) => `  ${path}: got ${got}, wanted ${wanted}`);
  expect(told.trimEnd().split("\n").slice(1)).toEqual(problems);
  expect(told).toContain(`has ${problems.length} problems:`);
});

it("the deployment guide names what a deployment may set", () => {
  const declared = read("worker/environment.d.ts") + read("wrangler.jsonc");
  const names = [...read("docs/guide/deploy.md").matchAll(/^\| .*/gm)]
    .flatMap(([row]) => row.split("|")[1]?.match(/[A-Z][A-Z_]+/g) ?? [])
    .filter((name) => !new RegExp(`\\b${name}\\b`).test(declared));

  expect(names).toEqual([]);
});

it("the operating guide lists every field of a log line, in its order", () => {
  const [, line = ""] = /const line = \{([^]*?)\n {2}\};/.exec(read("worker/observe/log.ts")) ?? [];
  const fields = [...line.matchAll(/^ {4}(\w+)/gm)].map(([, field]) => field);
  const [, table = ""] = /## The log([^]*)/.exec(read("docs/guide/operating.md")) ?? [];
  const listed = [...table.matchAll(/^\| (`.*?) +\|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, field]) => field),
  );

  expect(listed).toEqual(fields.filter((field) => field !== "message"));
});

function markdownIn(folder: string): readonly string[] {
  return readdirSync(fileURLToPath(new URL(folder, root))).filter((file) => file.endsWith(".md"));
}

function read(path: string): string {
  return readFileSync(new URL(path, root), "utf8");
}
