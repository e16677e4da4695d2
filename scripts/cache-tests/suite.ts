import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as v from "valibot";

import type { Results, SuiteTest } from "./score.ts";

const Suites = v.array(
  v.object({
    tests: v.array(
      v.pipe(
        v.object({
          id: v.string(),
          kind: v.optional(v.picklist(["required", "optimal", "check"]), "required"),
          depends_on: v.optional(v.array(v.string()), []),
          browser_only: v.optional(v.boolean(), false),
        }),
        v.transform(({ id, kind, depends_on: dependsOn, browser_only: isBrowsers }) => ({
          id,
          kind,
          dependsOn,
          isBrowsers,
        })),
      ),
    ),
  }),
);
const BROWSERS: ReadonlySet<string> = new Set(["chrome", "firefox", "safari"]);
const CLIENT = fileURLToPath(new URL("client.ts", import.meta.url));
const ResultsSchema = v.record(v.string(), v.union([v.literal(true), v.array(v.string())]));

/** The tests of a copy of the suite, without those for browsers, as its own command line runs them. */
export async function readTests(directory: string): Promise<readonly SuiteTest[]> {
  const files = ["tests/index.mjs", "tests/surrogate-control.mjs"];
  const modules = await Promise.all(files.map((file) => load(directory, file)));
  const [all, surrogate] = modules.map((module) => module["default"]);
  const listed = v.parse(Suites, [...v.parse(v.array(v.unknown()), all), surrogate]);
  const tests = listed.flatMap((suite) => suite.tests).filter(({ isBrowsers }) => !isBrowsers);
  return [...new Map(tests.map((test) => [test.id, test])).values()];
}

/** What others got, as far as their results come with the suite; without browsers. */
export async function publishedResults(directory: string): Promise<readonly (readonly [name: string, Results])[]> {
  const files = (await readdir(`${directory}/results`)).filter((file) => file.endsWith(".json"));
  const named = files.map((file) => [file.slice(0, -".json".length), file] as const);
  const caches = named.filter(([name]) => !BROWSERS.has(name));
  return Promise.all(
    caches.map(async ([name, file]) => {
      return [
        name,
        v.parse(ResultsSchema, JSON.parse(await readFile(`${directory}/results/${file}`, "utf8"))),
      ] as const;
    }),
  );
}

/** The suite's origin on loopback; its own start script would listen on every interface. */
export async function startOrigin(directory: string): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const handlers = new Map(
    await Promise.all(
      ["config", "test", "state"].map(async (name) => {
        const module = await load(directory, `server/handle-${name}.mjs`);
        return [name, v.parse(v.function(), module["default"])] as const;
      }),
    ),
  );
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const [, name = "", ...rest] = new URL(request.url ?? "/", "http://origin.test").pathname.split("/");
    const handle = handlers.get(name);
    if (handle === undefined) response.writeHead(404).end();
    else handle(rest, request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Runs the suite's client against a cache: a minute, of which most is waiting for responses to become stale; or some of its tests alone. */
export async function runClient(directory: string, base: string, ids: readonly string[] = []): Promise<Results> {
  const client = spawn(process.execPath, ["--no-warnings", CLIENT, directory, base, ...ids], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [output] = await Promise.all([text(client.stdout), once(client, "exit")]);
  return v.parse(ResultsSchema, JSON.parse(output));
}

async function load(directory: string, file: string): Promise<Readonly<Record<string, unknown>>> {
  const module: Readonly<Record<string, unknown>> = await import(pathToFileURL(`${directory}/${file}`).href);
  return module;
}
