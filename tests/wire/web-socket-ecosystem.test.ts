import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startEcosystem, WAYS, type Ecosystem } from "../support/web-socket-peers/ecosystem.ts";
import { SCENARIOS } from "../support/web-socket-peers/scenarios.ts";

let ecosystem: Ecosystem;

beforeAll(async () => {
  ecosystem = await startEcosystem();
});

afterAll(() => ecosystem?.stop());

describe.each(WAYS)("%s", (way) => {
  it.each(SCENARIOS)("$library: $title", async ({ run }) => {
    await expect(run(ecosystem.place(way))).resolves.toBeUndefined();
  });
});
