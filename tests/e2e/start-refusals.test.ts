import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { atEnd, directory, readyLine, startScript } from "./start-fixtures.ts";

const flags = [
  [["--port=http"], '--port must be a whole number from 0 to 65535, got "http"'],
  [["--port=65534", "--isolates=4"], '--port must be a whole number from 0 to 65532, got "65534"'],
  [["--isolates=0"], '--isolates must be a whole number from 1 to 64, got "0"'],
  [["--isolates=65"], '--isolates must be a whole number from 1 to 64, got "65"'],
  [["--prot=9000"], "Unknown option '--prot'"],
  [
    ["9000"],
    "Unexpected argument '9000'. This command does not take positional arguments. Options come after two dashes: npm start -- --port 9000",
  ],
] as const;

it.each(flags)("refuses %j and says what to write instead", async (args, message) => {
  const script = startScript(args);

  expect(await script.exited).toBe(2);
  expect(script.stderr()).toContain(`sluice: ${message}`);
});

it("prints every problem of a configuration at once and does not start", async () => {
  const file = join(directory(), "broken.jsonc");
  writeFileSync(file, '{ "routes": [{ "prefix": "api", "target": "ftp://x.example" }], "rateLimt": {}, }');
  const script = startScript([`--config=${file}`, `--state=${directory()}`]);

  expect(await script.exited).toBe(2);
  expect(script.stdout()).toBe("");
  const [heading, ...problems] = script.stderr().trimEnd().split("\n");
  expect(heading).toBe(`sluice: ${file} has 3 problems:`);
  expect(new Set(problems.map((line) => line.replace(/: got .+, wanted .+/, "")))).toEqual(
    new Set(["  rateLimt", "  routes[0].prefix", "  routes[0].target"]),
  );
});

it("says which configuration file it cannot read", async () => {
  const script = startScript(["--config=/nowhere/sluice.json"]);

  expect(await script.exited).toBe(2);
  expect(script.stderr()).toContain("/nowhere/sluice.json");
  expect(script.stderr()).toContain("give the path of a readable file with --config");
});

it("says which of its ports is in use", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  atEnd(() => other.close());
  await once(other, "listening");
  const address = other.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has no port");
  const script = startScript([`--port=${address.port}`, `--state=${directory()}`]);

  expect(await script.exited).toBe(2);
  expect(script.stderr()).toBe(
    `sluice: port ${address.port} on 127.0.0.1 is in use: stop what listens there, or choose another with --port (0 takes a free one)\n`,
  );
});

it("refuses an address that is not this machine's", async () => {
  // TEST-NET-3 (RFC 5737) belongs to nobody.
  const script = startScript(["--host=203.0.113.7", "--port=0", `--state=${directory()}`]);

  expect(await script.exited).toBe(2);
  expect(script.stderr()).toContain("203.0.113.7 is not an address of this machine");
});

it("refuses a state directory that another gateway uses, and takes it once that one was killed", async () => {
  const state = directory();
  const first = startScript(["--json", "--port=0", `--state=${state}`]);
  await readyLine(first);

  const second = startScript(["--json", "--port=0", `--state=${state}`]);
  expect(await second.exited).toBe(2);
  expect(second.stderr()).toBe(
    `sluice: ${state} is in use by another gateway: stop it, or give this one its own with --state DIR\n`,
  );

  first.signal("SIGKILL");
  await first.exited;
  const third = startScript(["--json", "--port=0", `--state=${state}`]);
  expect((await readyLine(third)).urls).toHaveLength(1);
});

it("refuses a Worker that does not build", async () => {
  const entry = join(directory(), "broken.ts");
  writeFileSync(entry, "export default {");
  const script = startScript(["--port=0", `--state=${directory()}`], { SLUICE_ENTRY: entry });

  expect(await script.exited).toBe(2);
  expect(script.stderr()).toContain(`sluice: ${entry} does not build`);
});
