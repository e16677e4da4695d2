import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { repositoryRoot, run } from "../support/process.ts";
import { directory } from "./start-fixtures.ts";

/** A project with one dependency, installed, and an npm that notes its arguments and installs what lies in next/. */
let project = "";

beforeEach(() => {
  project = directory();
  mkdirSync(join(project, "scripts"));
  cpSync(join(repositoryRoot, "scripts/ready.mjs"), join(project, "scripts/ready.mjs"));
  mkdirSync(join(project, "bin"));
  writeFileSync(
    join(project, "bin/npm"),
    '#!/bin/sh\necho "$@" >> calls\n[ -d next ] && cp -r next/. .\nexit "${NPM_CODE:-0}"\n',
  );
  chmodSync(join(project, "bin/npm"), 0o755);
  writeLock(join(project, "package-lock.json"), "1.0.0");
  install(project, "1.0.0");
});

it("calls no npm when node_modules is what the lock file says", async () => {
  expect(await ready()).toEqual({ code: 0, npmCalls: "" });
});

it.each([
  ["node_modules is missing", () => rmSync(join(project, "node_modules"), { recursive: true })],
  ["an install was interrupted", () => rmSync(join(project, "node_modules/.package-lock.json"))],
  ["the pinned Node is missing", () => rmSync(join(project, "node_modules/node"), { recursive: true })],
  ["the lock file has moved on", () => writeLock(join(project, "package-lock.json"), "1.0.1")],
])("installs when %s", async (_case, spoil) => {
  spoil();
  install(join(project, "next"), lockedVersion());

  expect(await ready()).toEqual({ code: 0, npmCalls: expect.stringMatching(/^install --no-save [^\n]*\n$/) });
});

it("fails when npm fails, and when npm leaves something out", async () => {
  rmSync(join(project, "node_modules"), { recursive: true });

  expect((await ready({ NPM_CODE: "7" })).code).toBe(1);
  expect((await ready()).code).toBe(1);
});

/** Runs ready.mjs outside of npm, as `node scripts/ready.mjs` in a shell. */
async function ready(env: Record<string, string> = {}): Promise<{ code: number | string; npmCalls: string }> {
  const path = `${join(project, "bin")}:/usr/bin:/bin`;
  const script = run(process.execPath, ["scripts/ready.mjs"], {
    cwd: project,
    env: { ...env, PATH: path, npm_execpath: undefined },
  });
  return { code: await script.exited, npmCalls: calls() };
}

/** The version of the one dependency that the lock file names. */
function lockedVersion(): string {
  return JSON.parse(readFileSync(join(project, "package-lock.json"), "utf8")).packages["node_modules/a"].version;
}

function calls(): string {
  try {
    return readFileSync(join(project, "calls"), "utf8");
  } catch {
    return "";
  }
}

function install(into: string, version: string): void {
  mkdirSync(join(into, "node_modules/node/bin"), { recursive: true });
  writeFileSync(join(into, "node_modules/node/bin/node"), "");
  writeLock(join(into, "node_modules/.package-lock.json"), version);
}

function writeLock(file: string, version: string): void {
  const packages = {
    "": { name: "project" },
    "node_modules/a": { version, integrity: `sha512-${version}` },
    // Left out on this platform, as npm leaves out what isn't for it.
    ...(file.includes("node_modules") ? {} : { "node_modules/b": { version: "2.0.0", optional: true } }),
  };
  writeFileSync(file, JSON.stringify({ packages }));
}
