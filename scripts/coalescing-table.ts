import { askAll } from "./coalescing/crowd.ts";
import { startOrigin } from "./coalescing/origin.ts";
import { SCENARIOS } from "./coalescing/scenarios.ts";
import { subjects } from "./coalescing/subjects.ts";
import { renderTable } from "./prove/table.ts";

// `npm run coalescing-table`: what many get who ask for one thing at once, and how often the origin is asked for it, of the gateway and
// of those beside it that are installed. Each scenario has a URL of its own, so nothing is kept from the one before.
const origin = await startOrigin();
const columns: (readonly string[])[] = [["scenario", ...SCENARIOS.map(({ name }) => name)]];
try {
  for (const subject of subjects) {
    process.stderr.write(`${subject.name} ...\n`);
    const running = await subject.start(origin.port);
    try {
      columns.push([subject.name, ...(await play(subject.name, running.urls))]);
    } finally {
      await running.stop();
    }
  }
} finally {
  await origin.stop();
}
const [first = []] = columns;
console.log(renderTable(first.map((_cell, row) => columns.map((column) => column[row] ?? ""))));
console.log("requests at the origin, then the median client's time until its last byte");

async function play(subject: string, urls: readonly string[]): Promise<string[]> {
  const cells: string[] = [];
  for (const [index, { reply, members, figure }] of SCENARIOS.entries()) {
    const path = `${subject}-${index}`;
    // Nobody waits for what starts up when it is first used.
    await askAll(urls.map((url) => ({ url: `${url}/warm-${path}` })));
    origin.on(path, reply);
    const urlOf = (at: number) => `${urls[at % urls.length] ?? ""}/${path}/one`;
    const outcomes = await askAll(members.map((member, at) => Object.assign({ url: urlOf(at) }, member)));
    cells.push(`${origin.countOf(path)}, ${figure(outcomes)}`);
  }
  return cells;
}
