import { compileRoutes, type RouteMatcher, type RouteRequest } from "../worker/routing/compile-routes.ts";
import { parseConfig } from "../schemas/index.ts";
import { pairedRatio, spread, type Spread } from "./statistics.ts";

/** What route lookups cost in a small and in a large table. */
export interface RouteFigures {
  /** Nanoseconds per lookup. */
  readonly few: Spread;
  readonly many: Spread;
  /** `many / few`, round by round. */
  readonly ratio: Spread;
}

const FEW = 10;
const MANY = 10_000;
const LOOKUPS = 20_000;
const ROUNDS = 61;
const WARM_UP_ROUNDS = 10;

const KINDS = 5;
const HOSTS = ["api.example.com", "shop.example.com"];
const NO_HEADERS = { get: () => null };

/**
 * Measures lookups of literal prefixes, patterns, hosts and misses in tables of 10 and 10,000 routes, in turn.
 *
 * @param inUse distinct requests asked about in turn, the same number of both tables: 10 compares the tables, because
 * what a lookup reads then stays in the CPU's first cache for both; 1,000 also shows what that cache is worth. Each round
 * asks about others, since which routes share a hash bucket is a matter of luck.
 */
export function measureRoutes(inUse: number): RouteFigures {
  const few = tableOf(FEW);
  const many = tableOf(MANY);
  const fewNs: number[] = [];
  const manyNs: number[] = [];
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    const place = Math.abs(round) / ROUNDS;
    const timeFew = () => time(few, requestsFor(FEW, inUse, place));
    const timeMany = () => time(many, requestsFor(MANY, inUse, place));
    const [first, second] = round % 2 === 0 ? [timeFew, timeMany] : [timeMany, timeFew];
    const early = first();
    const late = second();
    if (round < 0) continue;
    fewNs.push(round % 2 === 0 ? early : late);
    manyNs.push(round % 2 === 0 ? late : early);
  }
  return { few: spread(fewNs), many: spread(manyNs), ratio: pairedRatio(manyNs, fewNs) };
}

function time(matcher: RouteMatcher<string>, requests: readonly RouteRequest[]): number {
  const passes = LOOKUPS / requests.length;
  // The first pass brings what it reads into the caches.
  let found = foundIn(matcher, requests);
  const began = performance.now();
  for (let pass = 1; pass <= passes; pass += 1) found += foundIn(matcher, requests);
  const ns = ((performance.now() - began) * 1e6) / LOOKUPS;
  const wanted = ((passes + 1) * requests.length * 9) / 10;
  if (found !== wanted) throw new Error(`found ${found} routes, wanted ${wanted}: all but a tenth`);
  return ns;
}

function foundIn(matcher: RouteMatcher<string>, requests: readonly RouteRequest[]): number {
  let found = 0;
  for (const request of requests) if (matcher.match(request).kind === "found") found += 1;
  return found;
}

/** Routes of five kinds in turn. */
function tableOf(count: number): RouteMatcher<string> {
  const parsed = parseConfig({
    routes: Array.from({ length: count }, (_, number) => routeOf(number)),
    backends: { origin: { targets: [{ url: "https://origin.example.com" }] } },
  });
  if (!parsed.ok) throw new Error(`the bench's routes are refused: ${JSON.stringify(parsed.problems.slice(0, 3))}`);
  return compileRoutes(parsed.config.routes.map((route) => ({ route, entry: route.id })));
}

/** As long in a small table as in a large one: hashing a name takes as long as the name is. */
function nameOf(number: number): string {
  return `service-${String(number).padStart(4, "0")}`;
}

function routeOf(number: number): unknown {
  const id = `r${number}`;
  const backend = "origin";
  const name = nameOf(number);
  switch (number % KINDS) {
    case 0:
      return { id, backend, prefix: `/${name}` };
    case 1:
      return { id, backend, prefix: `/api/v1/${name}` };
    case 2:
      return { id, backend, path: `/${name}/:id/items/:item` };
    case 3:
      return { id, backend, path: `/${name}/files/*` };
    default:
      return { id, backend, prefix: `/${name}`, hosts: [HOSTS[number % 2]] };
  }
}

/**
 * Requests spread evenly over the table, the same mix of kinds whatever its size; every tenth meets no route.
 *
 * @param place 0 to 1: where between two of its neighbours each request's route lies.
 */
function requestsFor(count: number, inUse: number, place: number): readonly RouteRequest[] {
  return Array.from({ length: inUse }, (_, index) => {
    const number = KINDS * Math.floor(((index + place) * count) / inUse / KINDS) + (index % KINDS);
    const path = index % 10 === 9 ? `/un${nameOf(number)}/orders/${index}` : pathOf(number, index);
    return { method: "GET", host: HOSTS[number % 2] ?? "", path, query: "", headers: NO_HEADERS };
  });
}

function pathOf(number: number, index: number): string {
  const name = nameOf(number);
  switch (number % KINDS) {
    case 1:
      return `/api/v1/${name}/orders/${index}`;
    case 2:
      return `/${name}/${index}/items/3`;
    case 3:
      return `/${name}/files/2026/11/${index}.pdf`;
    default:
      return `/${name}/orders/${index}`;
  }
}
