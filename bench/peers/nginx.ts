import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { claimPorts } from "../../scripts/local/ports.ts";
import { guard } from "../../scripts/local/runtime-process.ts";
import { untilListening } from "../../scripts/local/until-listening.ts";
import type { Running } from "../rounds.ts";

/** Starts one nginx worker as a reverse proxy with `limit_req`, never exhausted, and no access log. */
export async function startNginx(binary: string, originPort: number): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  const [port = 0] = await claimPorts("127.0.0.1", 0, 1);
  await writeFile(join(directory, "nginx.conf"), config(directory, port, originPort));
  const child = spawn(binary, ["-p", directory, "-c", join(directory, "nginx.conf"), "-e", join(directory, "error")], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  guard(child);
  const exited = once(child, "exit");
  await Promise.race([
    untilListening(port),
    exited.then(([code]) => {
      throw new Error(`nginx ended with ${String(code)} before it listened; its reason is above`);
    }),
  ]);
  return {
    port,
    pids: [child.pid ?? 0],
    async stop() {
      child.kill("SIGKILL");
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** `daemon` and `master_process` off: one process, so that its CPU time is all there is. */
function config(directory: string, port: number, originPort: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `  ${kind}_temp_path ${directory};\n`,
  );
  return `daemon off;
master_process off;
pid ${directory}/pid;
error_log ${directory}/error;
events { worker_connections 1024; }
http {
${temporary.join("")}  access_log off;
  keepalive_requests 1000000000;
  limit_req_zone $binary_remote_addr zone=clients:1m rate=1000000r/s;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 32; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      limit_req zone=clients burst=1000000 nodelay;
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
`;
}
