import { overlaps } from "./character-set.ts";
import { parsePattern } from "./parse-pattern.ts";
import { buildAutomaton, type Edges, type PositionAutomaton } from "./position-automaton.ts";

/** Longest pattern, in UTF-16 units. */
const MAX_PATTERN_LENGTH = 256;

// Steps per character of input: with 32 KiB of headers the worst accepted pattern takes some 10^7 steps.
const MAX_RUNS = 1000;

/** Undefined: safe. Otherwise what is wrong and how to mend it. */
export type PatternFault = string | undefined;

/**
 * Whether a regular expression can be matched in time linear in its input by a backtracking engine; checked before a
 * pattern is accepted from anyone, as one that is not (`^(a+)+$`) lets a 40-character header hold an isolate for hours.
 *
 * Sound and conservative: inside an unbounded repetition the next character must decide what comes next, except for a
 * way out that leads into no further repetition. Then the runs alive at any moment are bounded, whatever the input
 * (finite ambiguity: Weber and Seidl, On the degree of ambiguity of finite automata, 1991), and the bound must be small.
 * A search without `^` counts as beginning with a repetition of any character, which is what the engine does.
 */
export function checkPattern(source: string): PatternFault {
  if (source.length > MAX_PATTERN_LENGTH) return `at most ${MAX_PATTERN_LENGTH} characters`;
  const syntax = syntaxFault(source);
  if (syntax !== undefined) return syntax;
  const parsed = parsePattern(source);
  if (!parsed.ok) return unsafe(`${parsed.reason} cannot be checked; leave it out`);
  const built = buildAutomaton(parsed.node);
  if (!built.ok) return unsafe(`${built.reason}; simplify it`);
  return ambiguityFault(built.automaton, source.startsWith("^") ? "" : 'begin with "^", or ');
}

function syntaxFault(source: string): PatternFault {
  try {
    // Compiling is the engine's own opinion; nothing is matched.
    void new RegExp(source, "u");
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split(": ").at(-1) ?? "") : "";
    return `a regular expression that compiles with the u flag (${reason})`;
  }
}

function unsafe(reason: string): string {
  return `a pattern that is shown to match in linear time (unsafe-pattern): ${reason}`;
}

function ambiguityFault(automaton: PositionAutomaton, anchor: string): PatternFault {
  const { leadsToLoop, overlap, runs } = measure(automaton);
  for (const [position, loop] of automaton.loops.entries()) {
    if (loop === undefined) continue;
    const ways = [...(automaton.follow[position] ?? [])].filter(([next]) => leadsToLoop(next));
    if (
      ways.some(([next, count], index) => count > 1 || ways.slice(index + 1).some(([other]) => overlap(next, other)))
    ) {
      return unsafe(
        `a repetition can take the same text in two ways; ${anchor}keep repetitions apart, or bound them ("{1,20}" for "+")`,
      );
    }
  }
  if (runs(automaton.start) <= MAX_RUNS) return undefined;
  return unsafe(
    "there are too many ways to match the same text; shorten counted repetitions, or alternatives that begin alike",
  );
}

interface Measure {
  readonly leadsToLoop: (position: number) => boolean;
  readonly overlap: (a: number, b: number) => boolean;
  /** At most how many runs are alive at once, on any input, when a run stands before these edges. */
  readonly runs: (edges: Edges) => number;
}

/** Edges lead forwards, or back within a loop, so everything is computed once, from the last position to the first. */
function measure({ sets, follow, loops }: PositionAutomaton): Measure {
  const live: boolean[] = [];
  // How many more characters a position that leads to no loop can take.
  const tails: number[] = [];
  const bounds: number[] = [];

  const leadsToLoop = (position: number): boolean => live[position] ?? true;
  const overlap = (a: number, b: number): boolean => {
    const [left, right] = [sets[a], sets[b]];
    return left === undefined || right === undefined || overlaps(left, right);
  };
  const runs = (edges: Edges): number => {
    let worst = 1;
    const ways = [...edges];
    for (const [next] of ways) {
      // One character takes only edges that overlap, so those around the worst edge bound every choice.
      let together = 0;
      for (const [other, count] of ways) if (overlap(next, other)) together += count * (bounds[other] ?? 1);
      if (together > MAX_RUNS) return Number.POSITIVE_INFINITY;
      worst = Math.max(worst, together);
    }
    return worst;
  };
  const ofLoop = (loop: number, last: number): number => {
    let onwards = 1;
    let aside = 0;
    for (let position = loop; position <= last; position++) {
      const exits = [...(follow[position] ?? [])].filter(([next]) => loops[next] !== loop);
      const ends = exits.filter(([next]) => !leadsToLoop(next));
      for (const [next] of exits) if (leadsToLoop(next)) onwards = Math.max(onwards, bounds[next] ?? 1);
      // Each character read in the loop may start runs along the ways out; each lives as long as its way is.
      if (ends.length > 0)
        aside = Math.max(aside, runs(new Map(ends)) * Math.max(...ends.map(([next]) => tails[next] ?? 1)));
    }
    return onwards + aside;
  };

  for (let position = sets.length - 1; position >= 0; position--) {
    const edges: Edges = follow[position] ?? new Map();
    const loop = loops[position];
    live[position] = loop !== undefined || [...edges.keys()].some(leadsToLoop);
    tails[position] = 1 + [...edges.keys()].reduce((longest, next) => Math.max(longest, tails[next] ?? 0), 0);
    if (loop === undefined) bounds[position] = runs(edges);
    else if (position === loop)
      for (let member = loop, bound = ofLoop(loop, lastOf(loops, loop)); loops[member] === loop; member++)
        bounds[member] = bound;
  }
  return { leadsToLoop, overlap, runs };
}

/** A loop's positions are neighbours, the first of them being its name. */
function lastOf(loops: PositionAutomaton["loops"], loop: number): number {
  return loops.lastIndexOf(loop);
}
