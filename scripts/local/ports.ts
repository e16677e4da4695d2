import { once } from "node:events";
import { createServer, type Server } from "node:net";

import { StartError } from "./start-error.ts";

/**
 * Ports for `count` isolates on `host`: consecutive ones from `first`, or free ones anywhere when `first` is 0. Every port
 * was seen free a moment ago; throws StartError that names the one that isn't.
 */
export async function claimPorts(host: string, first: number, count: number): Promise<readonly number[]> {
  const servers: Server[] = [];
  try {
    for (let index = 0; index < count; index++) servers.push(await listen(host, first === 0 ? 0 : first + index));
    // All are open at once, so that the system cannot hand out one port twice.
    return servers.map(portOf);
  } finally {
    await Promise.all(servers.map(close));
  }
}

async function listen(host: string, port: number): Promise<Server> {
  const server = createServer();
  server.listen({ host, port, exclusive: true });
  try {
    await once(server, "listening");
  } catch (error) {
    throw new StartError(explain(host, port, error));
  }
  return server;
}

function explain(host: string, port: number, error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "EADDRINUSE":
      return `port ${port} on ${host} is in use: stop what listens there, or choose another with --port (0 takes a free one)`;
    case "EACCES":
      return `port ${port} on ${host} needs privileges that this user lacks: choose one above 1023 with --port`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `${host} is not an address of this machine: give --host 127.0.0.1 (this machine only) or 0.0.0.0 (every interface)`;
    default:
      return `cannot listen on ${host} port ${port}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error(`a TCP server has no port: ${String(address)}`);
  return address.port;
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, "close");
}
