import { createServer } from "node:http";
import { startGateway } from "../gateway.ts";
import { closed, listening } from "../web-socket-peers/peer.ts";
import { CLIENT_CASES } from "./graphql-client-cases.ts";
import { CONNECTION_CASES } from "./graphql-connection-cases.ts";
import { GREETING_CASES } from "./graphql-greeting-cases.ts";
import { OPERATION_CASES } from "./graphql-operation-cases.ts";
import { RETRY_CASES } from "./graphql-retry-cases.ts";
import type { GraphqlCase, Verdict } from "./graphql-script.ts";
import { GraphqlStage } from "./graphql-stage.ts";
import { ANY_RATE, within } from "./proofs.ts";

/** Cases of graphql-transport-ws, with graphql-ws at one end or both. */
export const GRAPHQL_CASES: readonly GraphqlCase[] = [
  ...CONNECTION_CASES,
  ...OPERATION_CASES,
  ...GREETING_CASES,
  ...CLIENT_CASES,
  ...RETRY_CASES,
];
/** How their clients meet their servers. */
export const GRAPHQL_WAYS = ["direct", "splice", "bridge"] as const;
/** One of them. */
export type GraphqlWay = (typeof GRAPHQL_WAYS)[number];

/** Where cases run. */
export interface GraphqlTheatre {
  /** What client and server saw of a case; rejects where it does not end. */
  verdict(way: GraphqlWay, one: GraphqlCase): Promise<Verdict>;
  stop(): Promise<void>;
}

/** For what takes two seconds at most on a quiet machine. */
const PATIENCE_MS = 50_000;

/** Starts a server that gives each case one of its own, and a gateway before it; until it stops, nothing is printed as an error. */
export async function startGraphqlTheatre(): Promise<GraphqlTheatre> {
  const speak = hush();
  const stages = new Map<string, GraphqlStage>();
  const http = createServer();
  http.on("upgrade", (request, socket, head) => stages.get(request.url ?? "")?.take(request, socket, head));
  const target = `http://127.0.0.1:${await listening(http)}`;
  const bridge = { mode: "bridge", ...ANY_RATE };
  const routes = [
    { prefix: "/splice", target, webSocket: { mode: "splice" } },
    { prefix: "/bridge", target, webSocket: bridge },
  ];
  const gateway = await startGateway({ config: { routes, allowPrivateTargets: true } });
  return {
    async verdict(way, one) {
      const path = `/${stages.size}`;
      const base = way === "direct" ? target : `${gateway.url}/${way}`;
      const stage = new GraphqlStage(`${base.replace(/^http/, "ws")}${path}`);
      stages.set(path, stage);
      if (one.impostor === undefined) stage.serve(one.options ?? {});
      else stage.pretend(one.impostor);
      if (one.refusal !== undefined) stage.refuse(one.refusal);
      const played = one.run(stage).then(() => stage.settled());
      await within(one.title, played, PATIENCE_MS)
        .catch((error: unknown) => {
          throw new Error(`${one.title}: so far ${JSON.stringify(stage.verdict())}`, { cause: error });
        })
        .finally(() => stage.end());
      return inShort(stage.verdict(), one);
    },
    async stop() {
      await gateway.kill();
      await closed(http);
      speak();
    },
  };
}

/** What a case has to come to. */
export function wanted(way: GraphqlWay, { sees, cut }: GraphqlCase): Verdict {
  if (way !== "bridge" || cut === undefined) return sees;
  const { client, server } = sees;
  if (cut === "client") return { client, server: server.map((line) => line.replace(/ 1006$/, " 1001 client lost")) };
  return { client: client.map((line) => line.replace(/ 1006$/, " 1014 upstream lost")), server };
}

/** graphql-ws prints what its users' servers throw and what their clients get wrong, which is what cases are about. */
function hush(): () => void {
  const { error, warn } = console;
  Object.assign(console, { error: () => undefined, warn: () => undefined });
  return () => void Object.assign(console, { error, warn });
}

function inShort(verdict: Verdict, { isLong }: GraphqlCase): Verdict {
  if (isLong === undefined) return verdict;
  return { client: counted(verdict.client, isLong), server: counted(verdict.server, isLong) };
}

/** Lines that differ in numbers alone are one, with how many they are. */
function counted(lines: readonly string[], order: NonNullable<GraphqlCase["isLong"]>): readonly string[] {
  const kinds = Map.groupBy(lines, (line) => line.replace(/\d+/g, "#"));
  const told = [...kinds].map(([kind, all]) => {
    if (all.length === 1) return all.join();
    const inTurn = order === "in turn" && all.every((line, at) => at === 0 || !isLess(line, all[at - 1] ?? ""));
    return `${all.length} times ${kind}; ${new Set(all).size} different${inTurn ? ", in turn" : ""}`;
  });
  return order === "in turn" ? told : told.toSorted();
}

/** Whether the first number in which two lines differ is less. */
function isLess(line: string, before: string): boolean {
  const numbers = before.match(/\d+/g) ?? [];
  const pairs = (line.match(/\d+/g) ?? []).map((number, at) => [Number(number), Number(numbers[at])] as const);
  const [mine, other] = pairs.find(([one, two]) => one !== two) ?? [0, 0];
  return mine < other;
}
