import { parsePattern, type PatternNode } from "../../../schemas/patterns/parse-pattern.ts";

/** Where a backtracking engine has long been lost. */
const GIVEN_UP = 2_000_000;

/**
 * How many characters a backtracking engine looks at when it searches a text and the match fails at the very end, which
 * is the worst case: every way through the pattern is tried, from every place in the text.
 */
export function stepsOf(pattern: string, text: string): number {
  const parsed = parsePattern(pattern);
  if (!parsed.ok) throw new Error(parsed.reason);
  let steps = 0;

  function run(node: PatternNode, at: number, next: (at: number) => boolean): boolean {
    if (steps > GIVEN_UP) return true;
    switch (node.kind) {
      case "character": {
        steps++;
        const code = text.codePointAt(at);
        return code !== undefined && (node.set.ascii & (1n << BigInt(code))) !== 0n && next(at + 1);
      }
      case "assertion":
        return (!node.isStart || at === 0) && next(at);
      case "either":
        return node.options.some((option) => run(option, at, next));
      case "sequence":
        return node.items.reduceRight((rest, item) => (from: number) => run(item, from, rest), next)(at);
      case "repeat": {
        const { item, min, max } = node;
        const more = (count: number, from: number): boolean => {
          const isFurther = (to: number): boolean => (to !== from || count < min) && more(count + 1, to);
          return (count < max && run(item, from, isFurther)) || (count >= min && next(from));
        };
        return more(0, at);
      }
    }
  }

  for (let start = 0; start < text.length; start++) run(parsed.node, start, () => false);
  return steps;
}

/** How much more the engine does for a text of twice the length: about 2 when it is linear, 4 when it is quadratic. */
export function growth(pattern: string, head: string, pumped: string): number {
  const text = (length: number): string => head + pumped.repeat(Math.ceil(length / pumped.length));
  return stepsOf(pattern, text(240)) / stepsOf(pattern, text(120));
}
