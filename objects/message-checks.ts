import { isCount } from "./numbers.ts";
/** Checks that messages share. By hand: a schema library costs more than the decision that follows. */

/** A message as it may really look when it comes from a Worker of another version. */
export type Unchecked<Message> = { readonly [Field in keyof Message]?: unknown };

const MAX_ITEMS = 32;
/** Of a policy's id. */
export const MAX_POLICY_LENGTH = 256;
/** Of a client's handle, an isolate's name and a time zone. */
export const MAX_ID_LENGTH = 64;

/** What is wrong with the items of any message, each judged by `problemOf`. */
export function itemsProblem(
  items: unknown,
  problemOf: (item: object, at: string) => string | undefined,
): string | undefined {
  if (!Array.isArray(items)) return wanted("items", items, "a list");
  if (items.length > MAX_ITEMS) return wanted("items.length", items.length, `at most ${MAX_ITEMS}`);
  const list: readonly unknown[] = items;
  const seen: unknown[] = [];
  for (const item of list) {
    const at = `items[${seen.length}]`;
    if (typeof item !== "object" || item === null) return wanted(at, item, "an object");
    const problem = problemOf(item, at);
    if (problem !== undefined) return problem;
    const policy = "policy" in item ? item.policy : undefined;
    // Two items of one policy would both be decided against the same tokens.
    if (seen.includes(policy)) return wanted(`${at}.policy`, policy, "each policy once; add the costs up");
    seen.push(policy);
  }
  return undefined;
}

/** What is wrong with the policy and the cost of an item, which all but settlements have. */
export function costProblem(
  item: { readonly policy?: unknown; readonly cost?: unknown },
  at: string,
): string | undefined {
  if (!isText(item.policy, MAX_POLICY_LENGTH)) {
    return wanted(`${at}.policy`, item.policy, `1 to ${MAX_POLICY_LENGTH} characters`);
  }
  if (!isCount(item.cost)) return wanted(`${at}.cost`, item.cost, "an integer >= 0");
  return undefined;
}

/** Whether a value is a text of 1 to `maxLength` characters. */
export function isText(value: unknown, maxLength: number): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= maxLength;
}

/** The words for one field that is wrong. */
export function wanted(path: string, got: unknown, want: string): string {
  const shown = typeof got === "object" && got !== null ? "an object" : String(got).slice(0, 80);
  return `${path}: got ${shown}, wanted ${want}`;
}
