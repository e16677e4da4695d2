import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
/** Where a stub is made: by an object's name or id. */
const STUB = /\.getByName\(|\.get\(.*\.(?:idFromName|idFromString|newUniqueId)\(/;

it("every object is asked by a stub whose calls the runtime does not repeat", () => {
  const lines = ["worker", "objects"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .flatMap((file) => readFileSync(join(ROOT, folder, file), "utf8").split("\n"))
      .filter((line) => STUB.test(line)),
  );
  expect(lines.length).toBeGreaterThan(3);
  expect(lines.filter((line) => !line.includes("ONE_TRY"))).toEqual([]);
});
