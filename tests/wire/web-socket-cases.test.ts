import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  failedOf,
  isRuntimes,
  runCases,
  startCaseServers,
  type CaseServers,
} from "../support/web-socket-cases/case-servers.ts";
import { deflateCases, sizeCases, strictCases } from "../support/web-socket-cases/families.ts";

const CASES = [...strictCases(), ...sizeCases(262_144, 50), ...deflateCases()];
let servers: CaseServers;

beforeAll(async () => {
  servers = await startCaseServers();
});

afterAll(() => servers?.stop());

describe("families 1 to 7, 9, 10, 12 and 13 of the Autobahn Testsuite", () => {
  it("hold of the origin itself, and end alike through a splice", { timeout: 120_000 }, async () => {
    const itself = await runCases(servers.direct, CASES);
    expect(strictCases()).toHaveLength(247);
    expect(failedOf(itself)).toEqual([]);
    expect(await runCases(servers.splice, CASES)).toEqual(itself);
  });

  it("hold of a bridge, but for what the runtime does not look at", { timeout: 120_000 }, async () => {
    const failed = failedOf(await runCases(servers.bridge, CASES));
    expect(failed.filter((id) => !isRuntimes(id))).toEqual([]);
    expect(failed.length).toBeLessThanOrEqual(81);
  });
});
