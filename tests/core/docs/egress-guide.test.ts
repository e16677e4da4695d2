import { readFileSync } from "node:fs";
import { expect, it, test } from "vitest";
import { parseConfigText } from "../../../schemas/index.ts";
import { QUOTA_PRESETS } from "../../../schemas/policies/backends/quota.ts";
import { formatMs } from "../../../schemas/values/duration.ts";

const guide = readFileSync(new URL("../../../docs/guide/egress.md", import.meta.url), "utf8");
const configs = [...guide.matchAll(/```json\n([^`]*"routes"[^`]*)```/g)].map(([, config = ""]) => [config]);

test.each(configs)("a configuration of the guide loads without a warning:\n%s", (config) => {
  expect(parseConfigText(config)).toEqual({ ok: true, config: expect.anything(), warnings: [] });
});

it("the guide's table of presets is what they are", () => {
  const [, table = ""] = /\| preset [^\n]*\n\|[^\n]*\n([^]*?)\n\n/.exec(guide) ?? [];
  const rows = table.split("\n").map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll(/[`" ]/g, "")),
  );
  expect(rows).toEqual(
    Object.entries(QUOTA_PRESETS).map(([name, { requests, burst, spacingMs }]) =>
      [name, requests, burst, formatMs(spacingMs)].map(String),
    ),
  );
});
