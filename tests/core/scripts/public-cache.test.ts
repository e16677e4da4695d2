import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { publicCaches, refusal } from "../../../scripts/deploy/public-cache.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const ON = { enabled: true };
const OFF = { enabled: false };

it.each<readonly [what: string, document: unknown, places: readonly string[]]>([
  ["nothing", {}, []],
  ["off", { cache: OFF }, []],
  ["on", { cache: ON }, ["cache.enabled"]],
  ["on for a named entrypoint alone", { exports: { Origin: { type: "worker", cache: ON } } }, []],
  ["on for the public entrypoint", { exports: { default: { cache: ON } } }, ["exports.default.cache.enabled"]],
  ["on, but not for the public entrypoint", { cache: ON, exports: { default: { cache: OFF } } }, []],
  [
    "off, but not for the public entrypoint",
    { cache: OFF, exports: { default: { cache: ON } } },
    ["exports.default.cache.enabled"],
  ],
  ["on in an environment", { env: { staging: { cache: ON }, live: {} } }, ["env.staging.cache.enabled"]],
  ["on in previews", { previews: { cache: ON } }, ["previews.cache.enabled"]],
  [
    "on in an environment's previews",
    { env: { live: { previews: { cache: ON } } } },
    ["env.live.previews.cache.enabled"],
  ],
])("a Workers Cache that is %s", (_what, document, places) => {
  expect(publicCaches(document)).toEqual(places);
});

it("the repository's wrangler.jsonc has none, and deploying asks", () => {
  const checked = spawnSync(process.execPath, ["scripts/check-deployment.ts"], { cwd: root, encoding: "utf8" });
  expect([checked.status, checked.stderr]).toEqual([0, ""]);
  expect(readFileSync(join(root, "wrangler.jsonc"), "utf8")).toContain(
    '"build": { "command": "node_modules/.bin/node scripts/check-deployment.ts" }',
  );
});

it("a wrangler.jsonc with one is refused, and what to do is said", () => {
  const directory = mkdtempSync(join(tmpdir(), "sluice-test-"));
  const file = join(directory, "wrangler.jsonc");
  writeFileSync(file, `{ // hits would be free\n "name": "sluice", "cache": { "enabled": true }, }`);
  const checked = spawnSync(process.execPath, ["scripts/check-deployment.ts", file], { cwd: root, encoding: "utf8" });
  rmSync(directory, { recursive: true });
  expect([checked.status, checked.stderr]).toEqual([1, `${refusal("cache.enabled")}\n`]);
});
