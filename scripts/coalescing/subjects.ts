import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { startGateway } from "../../tests/support/gateway.ts";
import { nginxBinary, varnishBinary } from "../local/installed.ts";
import { claimPorts } from "../local/ports.ts";
import { guard } from "../local/runtime-process.ts";
import { untilListening } from "../local/until-listening.ts";

/** Something that coalesces, in front of an origin. */
export interface Subject {
  readonly name: string;
  start(originPort: number): Promise<RunningSubject>;
}

/** A subject that listens. */
export interface RunningSubject {
  /** Of its isolates, where it has several. */
  readonly urls: readonly string[];
  stop(): Promise<unknown>;
}

const nginx = nginxBinary;
const varnish = varnishBinary;

/** The gateway over four isolates, and of nginx and Varnish what this machine has. */
export const subjects: readonly Subject[] = [
  { name: "sluice", start: startSluice },
  ...(nginx === undefined ? [] : [{ name: "nginx", start: (port: number) => startNginx(nginx, port) }]),
  ...(varnish === undefined ? [] : [{ name: "varnish", start: (port: number) => startVarnish(varnish, port) }]),
];

function startSluice(originPort: number): Promise<RunningSubject> {
  return startGateway({
    isolates: 4,
    config: {
      allowPrivateTargets: true,
      rateLimits: false,
      routes: [{ prefix: "/", target: `http://127.0.0.1:${originPort}`, cache: true, deduplication: true }],
    },
  });
}

/** `proxy_cache_lock` as its manual describes it, with its own defaults. */
function startNginx(binary: string, originPort: number): Promise<RunningSubject> {
  return start(async (directory, port) => {
    const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (kind) => `${kind}_temp_path ${directory};`,
    );
    const config = `daemon off;
master_process off;
pid ${directory}/pid;
error_log ${directory}/error;
events { worker_connections 1024; }
http {
  ${places.join("\n  ")}
  access_log off;
  proxy_cache_path ${directory}/cache keys_zone=one:1m;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${originPort};
      proxy_cache one;
      proxy_cache_lock on;
      proxy_cache_use_stale updating error timeout;
    }
  }
}
`;
    await writeFile(join(directory, "nginx.conf"), config);
    return spawn(binary, ["-p", directory, "-c", join(directory, "nginx.conf"), "-e", join(directory, "error")], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  });
}

function startVarnish(binary: string, originPort: number): Promise<RunningSubject> {
  return start(async (directory, port) => {
    const vcl = `vcl 4.1;\nbackend default { .host = "127.0.0.1"; .port = "${originPort}"; }\n`;
    await writeFile(join(directory, "default.vcl"), vcl);
    const listen = ["-F", "-j", "none", "-n", directory, "-a", `127.0.0.1:${port}`, "-s", "malloc,64m"];
    return spawn(binary, [...listen, "-f", join(directory, "default.vcl")], { stdio: "ignore" });
  });
}

async function start(
  spawned: (directory: string, port: number) => Promise<ReturnType<typeof spawn>>,
): Promise<RunningSubject> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-coalescing-"));
  const [port = 0] = await claimPorts("127.0.0.1", 0, 1);
  const child = await spawned(directory, port);
  guard(child);
  const exited = once(child, "exit");
  await Promise.race([
    untilListening(port),
    exited.then(([code]) => {
      throw new Error(`${child.spawnfile} ended with ${String(code)} before it listened; its reason is above`);
    }),
  ]);
  return {
    urls: [`http://127.0.0.1:${port}`],
    async stop() {
      child.kill("SIGTERM");
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
