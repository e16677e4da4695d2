import { once } from "node:events";
import { Agent, createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { startGateway } from "../support/gateway.ts";
import type { Proof } from "../support/proof.ts";

const EACH = 600;
const WARM_UP = 200;
/** The next request comes when whatever follows an answer is over. */
const PAUSE_MS = 3;
const ROUTES = ["bare", "copied", "dead", "silent"] as const;
/** More than this is no noise: of the median, in ms. */
const MOST_MS = 0.3;

type RouteName = (typeof ROUTES)[number];

/**
 * The same request by a route without a mirror and by others with one that answers, is dead, or never answers, in turn: an answer takes
 * as long with a mirror as without.
 */
export async function run(): Promise<Proof[]> {
  const [origin, shadow, silent] = await Promise.all([
    listen(createServer((_, response) => void response.end("answer"))),
    listen(createServer((_, response) => void response.end("nobody sees this"))),
    listen(createServer(() => {})),
  ]);
  const gone = await listen(createServer());
  await closed(gone.server);
  const targets = (url: string) => ({ targets: [{ url }] });
  const mirrored = (id: RouteName) => ({ id, prefix: `/${id}`, backend: "origin", mirror: { backend: id } });
  const gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      logging: false,
      backends: {
        origin: targets(origin.url),
        copied: targets(shadow.url),
        dead: targets(gone.url),
        silent: targets(silent.url),
      },
      routes: [
        { id: "bare", prefix: "/bare", backend: "origin" },
        mirrored("copied"),
        mirrored("dead"),
        mirrored("silent"),
      ],
    },
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const times: Record<RouteName, number[]> = { bare: [], copied: [], dead: [], silent: [] };
    for (let made = 0; made < WARM_UP + EACH; made += 1) {
      for (const route of ROUTES) {
        const ms = await timeOf(agent, `${gateway.url}/${route}`);
        if (made >= WARM_UP) times[route].push(ms);
        await pause(PAUSE_MS);
      }
    }
    const bare = quantile(times.bare, 0.5);
    return ROUTES.filter((route) => route !== "bare").map((route) => {
      const more = quantile(times[route], 0.5) - bare;
      const figure = `${more >= 0 ? "+" : ""}${more.toFixed(3)} ms; p99 ${shown(times, route)}`;
      return {
        promise: `an answer's time with a mirror that is ${route}, against one without (median of ${EACH})`,
        bound: `at most ${MOST_MS} ms more than ${bare.toFixed(3)} ms`,
        figure,
        pass: more <= MOST_MS,
      };
    });
  } finally {
    agent.destroy();
    await gateway.stop();
    await Promise.all([origin, shadow, silent].map(({ server }) => closed(server)));
  }
}

function shown(times: Readonly<Record<RouteName, readonly number[]>>, route: RouteName): string {
  return `${quantile(times[route], 0.99).toFixed(2)} against ${quantile(times.bare, 0.99).toFixed(2)} ms`;
}

function timeOf(agent: Agent, url: string): Promise<number> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent }, (response) => {
      response.resume();
      response.once("end", () => {
        if (response.statusCode === 200) resolve(performance.now() - startedAt);
        else reject(new Error(`${url} answered ${response.statusCode}`));
      });
    });
    asked.once("error", reject);
    asked.end();
  });
}

interface Listening {
  readonly server: Server;
  readonly url: string;
}

async function listen(server: Server): Promise<Listening> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is never a path
  const { port } = server.address() as AddressInfo;
  return { server, url: `http://127.0.0.1:${port}` };
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

function quantile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1] ?? Infinity;
}
