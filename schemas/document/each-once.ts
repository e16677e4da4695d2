import * as v from "valibot";
import type { Path } from "./path.ts";

/** A name, and where it is written, from the list's own place. */
export interface WrittenName {
  readonly name: string;
  readonly path: Path;
}

/**
 * Reports each name that a list has already, at the place where it stands again.
 *
 * @param namesOf the names of a list, in its order.
 * @param wanted what is wanted instead of a name that was there before, given both.
 */
export function eachOnce<Input>(
  namesOf: (input: Input) => readonly WrittenName[],
  wanted: (again: WrittenName, first: WrittenName) => string,
) {
  return v.rawCheck<Input>(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const firsts = new Map<string, WrittenName>();
    for (const written of namesOf(dataset.value)) {
      const first = firsts.get(written.name);
      if (first === undefined) {
        firsts.set(written.name, written);
        continue;
      }
      const [head, ...rest] = written.path.map((key) => itemAt(key));
      if (head !== undefined) addIssue({ message: wanted(written, first), path: [head, ...rest] });
    }
  });
}

/** Problems are told by their keys alone. */
function itemAt(key: string | number): v.UnknownPathItem {
  return { type: "unknown", origin: "value", input: undefined, key, value: undefined };
}
