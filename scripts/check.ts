import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { bundleWorker, gzipSize, workerEntry } from "./local/bundle.ts";

/** For the Worker without the dashboard, as uploaded. The gate `size` of `npm run prove` holds it to that; here it is printed. */
const BUNDLE_BUDGET_BYTES = 150 * 1024;

const root = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "sluice-check-"));

/** What a check found: `detail` goes on its line; `output` is printed when it failed. */
interface Outcome {
  readonly ok: boolean;
  readonly detail?: string;
  readonly output?: string;
}

const checks: readonly (readonly [name: string, check: () => Outcome | Promise<Outcome>])[] = [
  ["format", () => command("oxfmt", "--check", ".")],
  ["lint", () => command("oxlint", "--type-aware", "--deny-warnings")],
  ...tsconfigs().map((file) => [`types ${file}`, () => command("tsc", "-p", file)] as const),
  ["dead code", () => command("knip")],
  ["reference", () => command("node", "scripts/generate-reference.ts", "--check")],
  ["bindings", () => command("wrangler", "types", "--include-runtime=false", "--strict-vars=false", "--check")],
  ["public cache", () => command("node", "scripts/check-deployment.ts")],
  ["deploy", () => command("wrangler", "deploy", "--dry-run", "--outdir", scratch)],
  ["bundle", bundleSize],
  ["tests", () => command("vitest", "run")],
];

process.exitCode = await runAll();
rmSync(scratch, { recursive: true, force: true });

/**
 * Runs every check, or those named on the command line (`npm run check -- lint types`); also after one failed, so that one
 * run shows everything there is to mend.
 */
async function runAll(): Promise<number> {
  const wanted = process.argv.slice(2);
  const chosen = checks.filter(([name]) => wanted.length === 0 || wanted.some((start) => name.startsWith(start)));
  let failed = 0;
  for (const [name, check] of chosen) {
    const began = performance.now();
    const { ok, detail, output } = await check();
    const seconds = ((performance.now() - began) / 1_000).toFixed(1);
    console.log([ok ? "ok  " : "FAIL", name.padEnd(36), `${seconds} s`, detail].filter(Boolean).join("  "));
    if (ok) continue;
    failed++;
    if (output !== undefined) console.log(output.replaceAll(/^/gm, "     "));
  }
  console.log(`${chosen.length - failed} checks passed, ${failed} failed`);
  return failed === 0 && chosen.length > 0 ? 0 : 1;
}

function command(name: string, ...args: readonly string[]): Outcome {
  const done = spawnSync(name, args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    // What the lock file pins, also when this was not started by npm; and nothing that wants the network or a person.
    env: {
      ...process.env,
      PATH: `${join(root, "node_modules", ".bin")}:${process.env["PATH"] ?? ""}`,
      WRANGLER_SEND_METRICS: "false",
      CI: "true",
      NO_COLOR: "1",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return { ok: done.status === 0, output: done.error?.message ?? `${done.stdout}${done.stderr}` };
}

async function bundleSize(): Promise<Outcome> {
  const bytes = await gzipSize(bundleWorker(workerEntry, { minify: true }));
  const kib = (size: number) => `${(size / 1024).toFixed(1)} KiB`;
  const over = bytes - BUNDLE_BUDGET_BYTES;
  const detail = `${kib(bytes)} gzip of ${kib(BUNDLE_BUDGET_BYTES)}${over > 0 ? `: ${kib(over)} OVER ITS BUDGET` : ""}`;
  return { ok: true, detail };
}

/** Every tsconfig.json under version control. */
function tsconfigs(): readonly string[] {
  const listed = spawnSync("git", ["ls-files", "*tsconfig.json"], { cwd: root, encoding: "utf8" });
  return listed.stdout.split("\n").filter(Boolean);
}
