/** An admitted request as it was seen from outside: it was decided somewhere between two instants. */
export interface Admission {
  /** ms: it had not been sent before. */
  readonly from: number;
  /** ms: by then it had been admitted, because it had come out at the other side. */
  readonly until: number;
  readonly tokens: number;
}

/** What was promised: in any t ms at most `burst + tokensPerWindow * t / windowMs` tokens. */
export interface PromisedLimit {
  readonly tokensPerWindow: number;
  readonly windowMs: number;
  readonly burst: number;
}

/**
 * By how many tokens the worst interval exceeds the promise, rounded up; 0 when the promise holds. An admission counts
 * into [a, b] only when it was both sent and seen within it, so a limiter that keeps its promise is never accused, however
 * slow the network; and one that breaks it is, once the excess is more than what was in flight at the interval's ends.
 *
 * A sweep over the ends with a tree over the beginnings, O(n log n). Whole milliseconds of one clock keep it exact.
 */
export function overAdmission(admissions: readonly Admission[], limit: PromisedLimit): number {
  const { tokensPerWindow, windowMs, burst } = limit;
  const begins = [...new Set(admissions.map(({ from }) => from))].sort((a, b) => a - b);
  const placeOf = new Map(begins.map((from, place) => [from, place]));
  const first = begins[0] ?? 0;
  const tree = new MaxTree(begins.length);
  let begun = 0;
  let worst = 0;
  for (const { from, until, tokens } of admissions.toSorted((a, b) => a.until - b.until)) {
    for (let begin = begins[begun]; begin !== undefined && begin <= until; begin = begins[++begun]) {
      // In units of 1 / windowMs: what an interval that begins here has not been credited yet.
      tree.set(begun, (begin - first) * tokensPerWindow);
    }
    tree.addUpTo(placeOf.get(from) ?? 0, tokens * windowMs);
    worst = Math.max(worst, tree.max - (until - first) * tokensPerWindow - burst * windowMs);
  }
  return Math.ceil(worst / windowMs);
}

/** Numbers in a row, -Infinity until they are set; adds to the first so many of them and knows the largest. */
class MaxTree {
  readonly #size: number;
  /** The largest below each node, without what was added to the nodes above it. */
  readonly #largest: Float64Array;
  readonly #added: Float64Array;

  constructor(places: number) {
    this.#size = 2 ** Math.ceil(Math.log2(Math.max(1, places)));
    this.#largest = new Float64Array(2 * this.#size).fill(-Infinity);
    this.#added = new Float64Array(2 * this.#size);
  }

  get max(): number {
    return this.#largest[1] ?? -Infinity;
  }

  /** Sets a place that nothing was added to yet. */
  set(place: number, value: number): void {
    this.#largest[place + this.#size] = value;
    for (let node = (place + this.#size) >> 1; node > 0; node >>= 1) this.#pull(node);
  }

  /** Adds to the places 0 to `last`: the leaf, and every left neighbour of the way up. */
  addUpTo(last: number, amount: number): void {
    let node = last + this.#size;
    this.#add(node, amount);
    for (; node > 1; node >>= 1) {
      if (node % 2 === 1) this.#add(node - 1, amount);
      this.#pull(node >> 1);
    }
  }

  #add(node: number, amount: number): void {
    this.#largest[node] = (this.#largest[node] ?? 0) + amount;
    this.#added[node] = (this.#added[node] ?? 0) + amount;
  }

  #pull(node: number): void {
    const below = Math.max(this.#largest[2 * node] ?? -Infinity, this.#largest[2 * node + 1] ?? -Infinity);
    this.#largest[node] = below + (this.#added[node] ?? 0);
  }
}
