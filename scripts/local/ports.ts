import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

import { StartError } from "./start-error.ts";

/**
 * Free ports are taken from below the range that Linux (32768) and macOS (49152) give to outgoing connections: a port from
 * within it could be somebody's connection by the time workerd listens, or by the time a killed gateway comes back.
 */
const FREE_FROM = 20_000;
const FREE_TO = 32_767;

/**
 * Ports for `count` isolates on `host`: consecutive ones from `first`, or free ones anywhere when `first` is 0. Every port
 * was seen free a moment ago; throws StartError that names the one that isn't.
 */
export async function claimPorts(host: string, first: number, count: number): Promise<readonly number[]> {
  const servers: Server[] = [];
  try {
    // All are open at once, so that none is found twice.
    for (let index = 0; index < count; index++) {
      servers.push(await (first === 0 ? listenAnywhere(host) : listen(host, first + index)));
    }
    return servers.map(portOf);
  } finally {
    await Promise.all(servers.map(close));
  }
}

async function listenAnywhere(host: string): Promise<Server> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await listen(host, randomInt(FREE_FROM, FREE_TO + 1));
    } catch (error) {
      // In a hundred random ports one is free, unless the reason is another.
      if (attempts === 100) throw error;
    }
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
