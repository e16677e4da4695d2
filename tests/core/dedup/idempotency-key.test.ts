import { expect, it } from "vitest";
import { fingerprintParts } from "../../../objects/dedup/fingerprint.ts";
import { readIdempotencyKey } from "../../../objects/dedup/idempotency-key.ts";

it.each([
  ['"8e03978e-40d5-43e8-bc93-6894a57f9324"', "8e03978e-40d5-43e8-bc93-6894a57f9324"],
  ["8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"],
  ['  "a b\\"c" ', 'a b"c'],
  ['"a";p=1', "a"],
  ["12", "12"],
])("the key of %j is %j", (field, key) => {
  expect(readIdempotencyKey(field)).toEqual({ kind: "key", key });
});

it.each([
  [null, "none", undefined],
  ["", "invalid", "nothing"],
  ['""', "invalid", "an empty string"],
  ["a, b", "invalid", "text that is neither quoted nor one word"],
  ['"a", "b"', "invalid", "text that is neither quoted nor one word"],
  ['"a', "invalid", "text that is neither quoted nor one word"],
  ["a;b", "invalid", "text that is neither quoted nor one word"],
  ["k\u00e9y", "invalid", "text that is neither quoted nor one word"],
  [`"${"a".repeat(256)}"`, "invalid", "256 characters"],
])("%j is no key: %s, %s", (field, kind, got) => {
  const key = readIdempotencyKey(field);
  expect([key.kind, key.kind === "invalid" ? key.got : undefined]).toEqual([kind, got]);
});

it("a fingerprint has everything that makes a request another one", () => {
  const request = { method: "POST", route: "r", target: "/x?q", contentType: " Application/JSON " };
  const digests = { credentials: "c", bodyDigest: "d" };
  expect(fingerprintParts({ ...request, ...digests })).toEqual(["POST", "r", "/x?q", "application/json", "c", "d"]);
});
