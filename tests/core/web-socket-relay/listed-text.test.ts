import { expect, it } from "vitest";
import { listedText } from "../../../objects/web-socket-relay/listed-text.ts";

it("a text of a peer is listed up to 512 characters", () => {
  expect([null, "", "x".repeat(512), "x".repeat(513)].map(listedText)).toEqual([
    null,
    "",
    "x".repeat(512),
    "x".repeat(512),
  ]);
});
