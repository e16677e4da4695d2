import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { parseConfig } from "../schemas/index.ts";
import { bundleWorker } from "../scripts/local/bundle.ts";
import { type ObjectBinding, readManifest } from "../scripts/local/manifest.ts";
import { startChild } from "./child.ts";
import { nginxBinary } from "../scripts/local/installed.ts";
import { startNginx } from "./peers/nginx.ts";
import type { Running, Subject } from "./rounds.ts";
import { trafficDocuments } from "./traffic.ts";
import { startWorkerd } from "./workerd.ts";

const COUNTER: ObjectBinding = { binding: "COUNTER", className: "Counter", isEphemeral: false };
/** A million a second: never exhausted, and every request is counted all the same. */
const AMPLE = { requestsPerWindow: 1_000_000, windowSeconds: 1 };
const STRICT = { ...AMPLE, mode: "strict" };
/** The first request passes, and until tomorrow no other. */
const SPENT = { requestsPerWindow: 1, windowSeconds: 86_400 };

/** Every subject, in the order of the report. */
export function allSubjects(originPort: number): readonly Subject[] {
  const origin = `127.0.0.1:${originPort}`;
  const nginx = nginxBinary;
  return [
    { name: "bare", start: () => startWorker("bare", origin) },
    { name: "promised", start: () => startWorker("promised", origin) },
    { name: "empty", start: () => startWorker("empty", origin) },
    { name: "ask-memory", start: () => startWorker("ask-memory", origin, [COUNTER]) },
    { name: "ask-durable", start: () => startWorker("ask-durable", origin, [COUNTER]) },
    { name: "sluice", start: () => startSluice(origin, {}) },
    { name: "sluice-no-log", start: () => startSluice(origin, { logging: false }) },
    { name: "sluice-leased", start: () => startSluice(origin, { rateLimit: AMPLE }) },
    { name: "sluice-strict", start: () => startSluice(origin, { rateLimit: STRICT }) },
    { name: "sluice-protected", start: () => startSluice(origin, protectedBackend(origin)) },
    { name: "colo-match", start: () => startWorker("colo-match", origin, [], memoryCache()) },
    { name: "sluice-cached", start: () => startSluice(origin, cached(origin), memoryCache()) },
    ...trafficDocuments(origin).map(({ name, document }) => ({ name, start: () => startSluice(origin, document) })),
    { name: "sluice-refusing", start: () => startSluice(origin, { rateLimit: SPENT }), status: 429 },
    { name: "local", start: () => startLocal(origin) },
    {
      name: "fastify",
      start: () => startChild(new URL("peers/fastify.ts", import.meta.url), { ORIGIN: `http://${origin}` }),
    },
    ...(nginx === undefined ? [] : [{ name: "nginx", start: () => startNginx(nginx, originPort) }]),
  ];
}

/** Two targets, which are one process, with a breaker each, checked, and shared in the way that looks at most of them. */
function protectedBackend(origin: string): Readonly<Record<string, unknown>> {
  return {
    routes: [{ prefix: "/", backend: "origin" }],
    backends: {
      origin: {
        targets: [{ url: `http://${origin}` }, { url: `http://${origin}/again` }],
        balance: "power-of-two",
        circuitBreaker: true,
        healthCheck: { path: "/health" },
      },
    },
  };
}

/** All answers are kept, for everybody. */
function cached(origin: string): Readonly<Record<string, unknown>> {
  return {
    routes: [{ prefix: "/", target: `http://${origin}/kept`, cache: { cookies: "strip", authorization: "public" } }],
  };
}

async function startWorker(
  name: string,
  origin: string,
  objects: readonly ObjectBinding[] = [],
  cache?: string,
): Promise<Running> {
  return startWorkerd({ code: codeOf(name), variables: { ORIGIN: origin }, objects, ...(cache && { cache }) });
}

async function startSluice(
  origin: string,
  policies: Readonly<Record<string, unknown>>,
  cache?: string,
): Promise<Running> {
  const { objects } = await readManifest();
  const variables = sluiceVariables(origin, policies);
  return startWorkerd({ code: bundleWorker().code, variables, objects, ...(cache && { cache }) });
}

function memoryCache(): string {
  return codeOf("memory-cache");
}

function codeOf(worker: string): string {
  return bundleWorker(fileURLToPath(new URL(`workers/${worker}.ts`, import.meta.url))).code;
}

async function startLocal(origin: string): Promise<Running> {
  const state = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  const child = await startChild(new URL("peers/local.ts", import.meta.url), {
    STATE: state,
    VARIABLES: JSON.stringify(sluiceVariables(origin, {})),
  });
  return {
    ...child,
    async stop() {
      await child.stop();
      await rm(state, { recursive: true, force: true });
    },
  };
}

/** What `npm start` binds; throws when the document is not one that a user could load. */
function sluiceVariables(origin: string, policies: Readonly<Record<string, unknown>>): Record<string, string> {
  const document = {
    allowPrivateTargets: true,
    routes: [{ prefix: "/", target: `http://${origin}` }],
    ...policies,
  };
  const parsed = parseConfig(document);
  if (!parsed.ok) throw new Error(`the bench's configuration is refused: ${JSON.stringify(parsed.problems)}`);
  return {
    CLIENT_IP_SOURCE: "socket",
    SLUICE_CONFIG: JSON.stringify(document),
    SLUICE_CONFIG_VERSION: "1",
    SLUICE_ADMIN_TOKEN: "bench-admin-token",
    NAMING_SECRET: "bench-naming-secret-of-32-letters",
  };
}
