/**
 * The known name that a misspelt one most likely means, or undefined when none is close: its beginning, or at
 * most a third of its letters, and never all, may differ (optimal string alignment distance: a swap of neighbours is one edit).
 */
export function nearestName(written: string, known: readonly string[]): string | undefined {
  if (written.length > 64) return undefined;
  const lowered = written.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.min(written.length, Math.max(1, Math.floor(written.length / 3)) + 1);
  for (const name of known) {
    const isShortened = written.length > 2 && name.toLowerCase().startsWith(lowered);
    const distance = isShortened ? 1 : editDistance(lowered, name.toLowerCase());
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      let distance = Math.min((last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, (last[column - 1] ?? 0) + cost);
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwap) distance = Math.min(distance, (beforeLast[column - 2] ?? 0) + 1);
      current.push(distance);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? 0;
}
