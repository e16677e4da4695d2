import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { isAdmin } from "../../worker/admin/authenticate.ts";

it.each([
  ["the token", { SLUICE_ADMIN_TOKEN: "right" }, true],
  ["its alias", { ADMIN_KEY: "right" }, true],
  ["its alias beside an empty token", { SLUICE_ADMIN_TOKEN: "", ADMIN_KEY: "right" }, true],
  ["its alias beside another token", { SLUICE_ADMIN_TOKEN: "other", ADMIN_KEY: "right" }, false],
  ["no token", {}, false],
] as const)("by %s: %j is %s", async (_, secrets, taken) => {
  const { SLUICE_ADMIN_TOKEN: _token, ADMIN_KEY: _alias, ...rest } = env;
  const bearer = new Request("http://gateway.test/admin", { headers: { authorization: "Bearer right" } });
  const key = new Request("http://gateway.test/admin", { headers: { "x-admin-key": "right" } });
  const answers = await Promise.all([bearer, key].map((request) => isAdmin(request, { ...rest, ...secrets })));
  expect(answers).toEqual([taken, taken]);
});

it.each([
  "",
  "right",
  "Basic right",
  "Bearer",
  "Bearer ",
  "Bearer right wrong",
  "Bearer wrong",
  "Bearer right, Bearer x",
])("takes no %j", async (authorization) => {
  const request = new Request("http://gateway.test/admin", { headers: { authorization } });
  expect(await isAdmin(request, { ...env, SLUICE_ADMIN_TOKEN: "right" })).toBe(false);
});

it("takes no empty token where none is configured", async () => {
  const request = new Request("http://gateway.test/admin", { headers: { "x-admin-key": "" } });
  expect(await isAdmin(request, { ...env, SLUICE_ADMIN_TOKEN: "", ADMIN_KEY: "" })).toBe(false);
});
