import { join } from "node:path";
import { expect, it } from "vitest";
import { openState, type State } from "../../scripts/local/state.ts";
import { atEnd, directory } from "./start-fixtures.ts";

it("keeps a configuration's version while its text stays the same", () => {
  const state = opened(directory());

  expect([state.configVersion("a", 100), state.configVersion("a", 100)]).toEqual([100, 100]);
});

it("never lets the version go down, whatever the file's time says", () => {
  const path = directory();
  const first = opened(path);
  const versions = [first.configVersion("a", 200), first.configVersion("b", 100)];
  first.release();

  const second = opened(path);
  versions.push(second.configVersion("b", 50), second.configVersion("c", 0), second.configVersion("d", 300));

  expect(versions).toEqual([200, 201, 201, 202, 300]);
});

it("follows the file's time when only that has changed", () => {
  const state = opened(directory());

  expect([state.configVersion("a", 100), state.configVersion("a", 500)]).toEqual([100, 500]);
});

it("makes one secret a name and finds it again", () => {
  const path = join(directory(), "made", "on", "the", "way");
  const first = opened(path);
  const [one, other] = [first.secret("one"), first.secret("other")];
  first.release();

  const second = opened(path);
  expect([second.secret("one"), second.secret("other")]).toEqual([one, other]);
  expect(one).not.toBe(other);
});

function opened(path: string): State {
  const state = openState(path);
  atEnd(() => state.release());
  return state;
}
