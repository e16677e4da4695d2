import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

const folder = join(import.meta.dirname, "../../../clients/websocket");

it("the package of the client builds into plain modules with types, and needs nothing else", async () => {
  const built = mkdtempSync(join(tmpdir(), "sluice-client-"));
  try {
    const compiler = join(folder, "../../node_modules/typescript/bin/tsc");
    const options = ["--project", join(folder, "tsconfig.json"), "--noEmit", "false", "--outDir", built];
    execFileSync(process.execPath, [compiler, ...options]);
    const files = readdirSync(built);
    const imports = files.flatMap((file) => importsOf(readFileSync(join(built, file), "utf8")));
    expect(imports.filter((name) => !files.includes(name.replace(/^\.\//, "")))).toEqual([]);
    const { exports }: { exports: unknown } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    expect(exports).toEqual({
      ".": { types: "./dist/resumable-web-socket.d.ts", default: "./dist/resumable-web-socket.js" },
    });
    expect(files).toContain("resumable-web-socket.d.ts");
    const loaded: object = await import(join(built, "resumable-web-socket.js"));
    expect(Object.keys(loaded)).toEqual(["ResumableWebSocket"]);
  } finally {
    rmSync(built, { recursive: true });
  }
});

/** What a built file imports; declarations name the files they were made of. */
function importsOf(text: string): readonly string[] {
  return [...text.matchAll(/\b(?:from|import) "([^"]+)"/g)].map(([, name = ""]) => name.replace(/\.ts$/, ".js"));
}
