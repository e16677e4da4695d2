import { expect, it } from "vitest";
import { isRunning, run, waitUntilGone } from "../support/process.ts";
import { directory, npmStart, readyLine } from "./start-fixtures.ts";

it("prints three commands that answer, and ends with 0 when npm gets SIGTERM", async () => {
  const npm = npmStart("--port", "0", "--state", directory());
  await npm.waitForOutput("Worth trying:");
  const [hello = "", loop = "", admin = "", ...more] = commandsIn(npm.stdout());

  expect(more).toEqual([]);
  expect(await shell(hello)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*"message": "Hello from the demo origin"/);
  expect(new Set((await shell(loop)).trim().split(" "))).toEqual(new Set(["200", "429"]));
  expect(await shell(`${admin} -w '%{http_code}' -o /dev/null`)).toBe("200");

  npm.signal("SIGTERM");
  expect(await npm.exited).toBe(0);
});

it("takes its runtime with it when npm is killed", async () => {
  const npm = npmStart("--port", "0", "--state", directory(), "--json");
  const { workerdPid } = await readyLine(npm);

  npm.signal("SIGKILL");

  await waitUntilGone(workerdPid);
  expect(isRunning(workerdPid)).toBe(false);
});

/** The indented lines after the last heading. */
function commandsIn(output: string): readonly string[] {
  const [, after = ""] = output.split("Worth trying:");
  return after
    .split("\n")
    .filter((line) => line.startsWith("  "))
    .map((line) => line.trim());
}

async function shell(command: string): Promise<string> {
  const done = run("sh", ["-c", command]);
  await done.exited;
  return done.stdout();
}
