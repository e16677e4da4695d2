import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parseConfigText } from "../../schemas/index.ts";
import { usage } from "../../scripts/start/flags.ts";
import { repositoryRoot } from "../support/process.ts";

const guide = readFileSync(join(repositoryRoot, "docs/guide/getting-started.md"), "utf8");

it("shows a configuration that loads as it stands", () => {
  const [, text = ""] = /```jsonc\n([^]*?)```/.exec(guide) ?? [];

  const result = parseConfigText(text);

  expect(result).toMatchObject({ ok: true, warnings: [], config: { routes: [{ id: "shop" }] } });
});

it("lists the options that npm start has", () => {
  const inGuide = [...guide.matchAll(/^\| `(--\w+)/gm)].map(([, flag]) => flag);
  const inUsage = [...usage.matchAll(/^ {2}(--\w+)/gm)].map(([, flag]) => flag);

  expect([...inGuide, "--help"]).toEqual(inUsage);
});
