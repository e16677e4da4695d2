import { ANY_CHARACTER, type CharacterSet } from "./character-set.ts";
import type { PatternNode } from "./parse-pattern.ts";

/** Where to go next, and in how many ways: two ways to the same position are two runs to a backtracking engine. */
export type Edges = ReadonlyMap<number, number>;

/**
 * A pattern as positions (its characters, counted repetitions written out) and which may follow which: Glushkov's
 * construction, keeping the number of ways. Positions count upwards in reading order.
 */
export interface PositionAutomaton {
  readonly sets: readonly CharacterSet[];
  readonly follow: readonly Edges[];
  /** The outermost unbounded repetition around a position; positions of one loop reach each other, and only they do. */
  readonly loops: readonly (number | undefined)[];
  readonly start: Edges;
}

export type BuiltAutomaton =
  | { readonly ok: true; readonly automaton: PositionAutomaton }
  | { readonly ok: false; readonly reason: string };

const MAX_POSITIONS = 500;
const MAX_EDGES = 10_000;

interface Building {
  readonly sets: CharacterSet[];
  readonly follow: Map<number, number>[];
  readonly loops: (number | undefined)[];
  edges: number;
  refusal: string | undefined;
}

interface Fragment {
  readonly first: Edges;
  readonly last: Edges;
  /** In how many ways it matches nothing. */
  readonly empties: number;
}

const NOTHING: Fragment = { first: new Map(), last: new Map(), empties: 1 };

/** Builds the automaton of a search: unless every alternative begins with `^`, it starts with a loop over any character. */
export function buildAutomaton(node: PatternNode): BuiltAutomaton {
  const building: Building = { sets: [], follow: [], loops: [], edges: 0, refusal: undefined };
  const searched: PatternNode = { kind: "sequence", items: [ANYTHING, node] };
  const { first } = build(building, isAnchored(node) ? node : searched, undefined);
  if (building.refusal !== undefined) return { ok: false, reason: building.refusal };
  const { sets, follow, loops } = building;
  return { ok: true, automaton: { sets, follow, loops, start: first } };
}

const ANYTHING: PatternNode = {
  kind: "repeat",
  item: { kind: "character", set: ANY_CHARACTER },
  min: 0,
  max: Number.POSITIVE_INFINITY,
};

function isAnchored(node: PatternNode): boolean {
  switch (node.kind) {
    case "assertion":
      return node.isStart;
    case "character":
      return false;
    case "either":
      return node.options.every(isAnchored);
    case "repeat":
      return node.min > 0 && isAnchored(node.item);
    case "sequence":
      return isAnchored(
        node.items.find((item) => item.kind !== "assertion" || item.isStart) ?? { kind: "assertion", isStart: false },
      );
  }
}

function build(building: Building, node: PatternNode, loop: number | undefined): Fragment {
  switch (node.kind) {
    case "assertion":
      return NOTHING;
    case "character":
      return position(building, node.set, loop);
    case "either":
      return node.options.map((option) => build(building, option, loop)).reduce(alternative);
    case "sequence":
      return node.items.reduce((before, item) => append(building, before, build(building, item, loop)), NOTHING);
    case "repeat":
      return repeat(building, node, loop);
  }
}

function position(building: Building, set: CharacterSet, loop: number | undefined): Fragment {
  const index = building.sets.length;
  if (index >= MAX_POSITIONS)
    building.refusal ??= `more than ${MAX_POSITIONS} characters, counted repetitions written out`;
  building.sets.push(set);
  building.follow.push(new Map());
  building.loops.push(loop);
  const only = new Map([[index, 1]]);
  return { first: only, last: only, empties: 0 };
}

function alternative(a: Fragment, b: Fragment): Fragment {
  return { first: sum(a.first, b.first, 1), last: sum(a.last, b.last, 1), empties: a.empties + b.empties };
}

function append(building: Building, a: Fragment, b: Fragment): Fragment {
  connect(building, a.last, b.first);
  return {
    first: sum(a.first, b.first, a.empties),
    last: sum(b.last, a.last, b.empties),
    empties: a.empties * b.empties,
  };
}

function repeat(building: Building, node: PatternNode & { kind: "repeat" }, loop: number | undefined): Fragment {
  const { item, min, max } = node;
  if (min === 1 && max === 1) return build(building, item, loop);
  const isUnbounded = max === Number.POSITIVE_INFINITY;
  const copies = isUnbounded ? Math.max(1, min) : max;
  let first: Edges = new Map();
  let last: Edges = new Map();
  let previous: Edges = new Map();
  for (let copy = 1; copy <= copies && building.refusal === undefined; copy++) {
    const isLoop = isUnbounded && copy === copies;
    const one = build(building, item, isLoop ? (loop ?? building.sets.length) : loop);
    if (one.empties > 0) building.refusal ??= "a repetition of something that can match nothing";
    if (isLoop) connect(building, one.last, one.first);
    // Optional copies nest, (x(x)?)?, so a copy follows the one before it and no other.
    connect(building, previous, one.first);
    previous = one.last;
    if (copy === 1) first = one.first;
    if (copy >= min) last = sum(last, one.last, 1);
  }
  return { first, last, empties: min === 0 ? 1 : 0 };
}

function connect(building: Building, from: Edges, to: Edges): void {
  for (const [place, waysOut] of from) {
    const follow = building.follow[place];
    for (const [next, waysIn] of to) {
      if (follow === undefined || building.refusal !== undefined) return;
      follow.set(next, (follow.get(next) ?? 0) + waysOut * waysIn);
      building.edges++;
      if (building.edges > MAX_EDGES) building.refusal = "too many ways through it";
    }
  }
}

/** a, and b as often as `times`. */
function sum(a: Edges, b: Edges, times: number): Edges {
  if (times === 0) return a;
  const total = new Map(a);
  for (const [place, ways] of b) total.set(place, (total.get(place) ?? 0) + ways * times);
  return total;
}
