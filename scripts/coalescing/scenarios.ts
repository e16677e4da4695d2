import type { Member, Outcome } from "./crowd.ts";
import { median } from "./crowd.ts";
import type { OriginReply } from "./origin.ts";

/** Many who ask for one thing, and an origin that says of it what it says. */
export interface Scenario {
  readonly name: string;
  readonly reply: OriginReply;
  readonly members: readonly Omit<Member, "url">[];
  /** What is printed beside the number of requests at the origin. */
  readonly figure: (outcomes: readonly Outcome[]) => string;
}

const CROWD = 50;
/** Of those for whom the origin takes 8 s. */
const FEW = 10;
const VARIANTS = 5;
const DELAY_MS = 300;

const crowd: readonly Omit<Member, "url">[] = Array.from({ length: CROWD }, () => ({}));

function plain(name: string, reply: Omit<OriginReply, "delayMs">): Scenario {
  return { name, reply: { delayMs: DELAY_MS, ...reply }, members: crowd, figure: lastByte };
}

/** The scenarios: 50 clients and an origin that takes 300 ms, where nothing else is said. */
export const SCENARIOS: readonly Scenario[] = [
  plain("cacheable: max-age=60", { headers: { "cache-control": "max-age=60" } }),
  plain("private", { headers: { "cache-control": "private" } }),
  plain("no-store", { headers: { "cache-control": "no-store" } }),
  plain("max-age=0", { headers: { "cache-control": "max-age=0" } }),
  plain("no cache headers", {}),
  {
    ...plain("Set-Cookie, max-age=60", { headers: { "cache-control": "max-age=60" }, hasCookies: true }),
    figure: (outcomes) => {
      const cookies = new Set(outcomes.map(({ headers }) => String(headers["set-cookie"] ?? "")));
      return `${lastByte(outcomes)}, ${[...cookies].filter((cookie) => cookie !== "").length} cookies`;
    },
  },
  plain("500, no-store", { status: 500, headers: { "cache-control": "no-store" } }),
  plain("origin closes the connection", { isGone: true }),
  {
    ...plain(`Vary, ${VARIANTS} variants`, { headers: { "cache-control": "max-age=60", vary: "x-variant" } }),
    members: crowd.map((_member, index) => ({ headers: { "x-variant": String(index % VARIANTS) } })),
  },
  {
    ...plain("leader leaves after 150 ms", { headers: { "cache-control": "max-age=60" } }),
    members: [{ leavesMs: 150 }, ...crowd.slice(1).map(() => ({ afterMs: 20 }))],
  },
  {
    ...plain("body of 2 s, joined after 0.5 s", { headers: { "cache-control": "max-age=60" }, streamMs: 2_000 }),
    members: [{}, ...crowd.slice(1).map(() => ({ afterMs: DELAY_MS + 500 }))],
    figure: (outcomes) => `first byte ${ms(median(outcomes.slice(1).map(({ firstByteMs }) => firstByteMs)))}`,
  },
  {
    ...plain(`origin takes 8 s, ${FEW} clients`, { headers: { "cache-control": "max-age=60" } }),
    reply: { delayMs: 8_000, headers: { "cache-control": "max-age=60" } },
    members: crowd.slice(0, FEW),
  },
];

/** The median client's last byte, and what most got, unless that is 200. */
function lastByte(outcomes: readonly Outcome[]): string {
  const statuses = new Set(outcomes.map(({ status }) => status));
  statuses.delete(200);
  const other = [...statuses].join(", ");
  return ms(median(outcomes.map(({ lastByteMs }) => lastByteMs))) + (other === "" ? "" : ` (${other})`);
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
