/** One line of a chart: a value for every step of the x axis. */
export interface Line {
  readonly name: string;
  readonly colour: string;
  readonly values: readonly number[];
  readonly dashed: boolean;
}

const WIDTH = 720;
const HEIGHT = 320;
const LEFT = 56;
const RIGHT = 16;
const TOP = 40;
const BOTTOM = 40;

/**
 * A line chart as SVG without a background, in greys and colours that can be read on white and on black.
 *
 * @param title what it shows; also its accessible name.
 * @param stepMs from one value to the next.
 */
export function lineChart(title: string, yName: string, stepMs: number, lines: readonly Line[]): string {
  const steps = Math.max(1, ...lines.map(({ values }) => values.length - 1));
  const top = niceAbove(Math.max(1, ...lines.flatMap(({ values }) => values)));
  const x = (step: number) => round(LEFT + (step / steps) * (WIDTH - LEFT - RIGHT));
  const y = (value: number) => round(HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM));
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}" font-family="system-ui, sans-serif" font-size="12" fill="#808080">`,
    `<title>${title}</title>`,
  ];
  for (let tick = 0; tick <= 4; tick++) {
    const value = (top * tick) / 4;
    parts.push(
      `<path d="M${LEFT} ${y(value)}H${WIDTH - RIGHT}" stroke="#808080" stroke-opacity="0.25"/>`,
      `<text x="${LEFT - 8}" y="${y(value) + 4}" text-anchor="end">${value}</text>`,
    );
    const step = (steps * tick) / 4;
    parts.push(
      `<text x="${x(step)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${Math.round(step * stepMs)} ms</text>`,
    );
  }
  parts.push(`<text x="${LEFT}" y="${HEIGHT - 6}">${yName}</text>`);
  for (const [index, { name, colour, values, dashed }] of lines.entries()) {
    const path = values.map((value, step) => `${step === 0 ? "M" : "L"}${x(step)} ${y(value)}`).join("");
    const dash = dashed ? ' stroke-dasharray="6 4"' : "";
    const legendX = LEFT + 8 + index * 210;
    parts.push(
      `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"${dash}/>`,
      `<path d="M${legendX} 20h24" stroke="${colour}" stroke-width="2"${dash}/>`,
      `<text x="${legendX + 30}" y="24">${name}</text>`,
    );
  }
  return `${parts.join("\n")}\n</svg>\n`;
}

function niceAbove(value: number): number {
  const step = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map((factor) => factor * step).find((nice) => nice >= value) ?? 10 * step;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** The most tokens that passed within any interval of each length, for lengths of 0, `stepMs`, ... up to `upToMs`. */
export function mostWithin(
  admissions: readonly { readonly at: number; readonly tokens: number }[],
  stepMs: number,
  upToMs: number,
): readonly number[] {
  const most: number[] = [];
  for (let lengthMs = 0; lengthMs <= upToMs; lengthMs += stepMs) {
    let first = 0;
    let sum = 0;
    let highest = 0;
    for (const { at, tokens } of admissions) {
      sum += tokens;
      for (
        let oldest = admissions[first];
        oldest !== undefined && oldest.at < at - lengthMs;
        oldest = admissions[first]
      ) {
        sum -= oldest.tokens;
        first += 1;
      }
      highest = Math.max(highest, sum);
    }
    most.push(highest);
  }
  return most;
}
