import { expect, it } from "vitest";
import { knownRefusal, noteRefusal } from "../../worker/web-socket/full-places.ts";

const place = { owner: "o", client: "c", policy: "web-socket:chat:ip", most: 1 };
const refusal = { code: "too-many-connections", detail: "full", retryAfter: "5", place: place.policy };

it("believes for 250 ms that a place is taken, for those alone who want the same", () => {
  const other = { ...place, client: "d" };
  expect(knownRefusal([place], 1_000)).toBeUndefined();
  noteRefusal(refusal, [other, place], 1_000);
  noteRefusal({ ...refusal, place: "another" }, [other], 1_000);
  expect(knownRefusal([place], 1_000)).toBeUndefined();
  expect(knownRefusal([place, other], 1_249)).toEqual(refusal);
  expect(knownRefusal([other], 1_250)).toBeUndefined();
});

it("remembers nothing of a refusal that was for something else", () => {
  noteRefusal({ code: "upstream-timeout", detail: "late", retryAfter: null }, [place], 5_000);
  expect(knownRefusal([place], 5_000)).toBeUndefined();
});
