import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parseConfigText } from "../../../schemas/index.ts";

const blocks = ["geography", "canary"].flatMap((name) => {
  const guide = readFileSync(new URL(`../../../docs/guide/${name}.md`, import.meta.url), "utf8");
  return [...guide.matchAll(/```jsonc\n([^]*?)```/g)].map(([, block = ""]) => block);
});

it.each(blocks)("the guides to geography and canaries show documents that load without a warning: %s", (block) => {
  expect(parseConfigText(block)).toEqual({ ok: true, config: expect.anything(), warnings: [] });
});
