import { expect, it } from "vitest";
import { partRequest, type PartInput } from "../../worker/batch/parts.ts";
import { GatewayError } from "../../worker/errors.ts";
import { readFields } from "../../worker/request-fields.ts";

function refusalOf(part: PartInput): unknown {
  const batch = new Request("https://shop.example.com/batch", { method: "POST", body: "{}" });
  try {
    return partRequest(batch, readFields(batch.headers), part);
  } catch (error) {
    return error instanceof GatewayError ? [error.code, error.message] : error;
  }
}

it.each<[PartInput, string]>([
  [{ path: "/a", body: "x" }, 'Got a GET with a body, wanted one without, or another "method", such as "POST".'],
  [
    { path: "/a", method: "head", body: {} },
    'Got a head with a body, wanted one without, or another "method", such as "POST".',
  ],
  [
    { path: "/a", headers: { "a b": "c" } },
    "Got GET with headers of which no request can be made, wanted a method that is forwarded, names that are tokens and values without line breaks.",
  ],
])("%j is no request, and is told why", (part, detail) => {
  expect(refusalOf(part)).toEqual(["invalid-request", detail]);
});
