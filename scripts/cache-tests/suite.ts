import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
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

/** Runs the suite's client against a cache: about a minute, of which most is waiting for responses to become stale. */
export async function runClient(directory: string, base: string): Promise<Results> {
  const client = spawn(process.execPath, ["--no-warnings", "cli.mjs"], {
    cwd: directory,
    // Without an id all of it is run; it has to be empty and not missing.
    env: { ...process.env, npm_config_base: base, npm_config_id: "", npm_package_config_id: "" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [output] = await Promise.all([text(client.stdout), once(client, "exit")]);
  return v.parse(ResultsSchema, JSON.parse(output));
}

async function load(directory: string, file: string): Promise<Readonly<Record<string, unknown>>> {
  const module: Readonly<Record<string, unknown>> = await import(pathToFileURL(`${directory}/${file}`).href);
  return module;
}
