import proxy from "@fastify/http-proxy";
import rateLimit from "@fastify/rate-limit";
import fastify from "fastify";

/**
 * The gateway that a user would otherwise put together from npm, a process of its own: one route, one limit a client that
 * is never exhausted. Its counters are in the memory of this process, it has no log, and keeps 32 connections to the origin.
 */
const server = fastify({ logger: false });
await server.register(rateLimit, { max: 1_000_000_000, timeWindow: 1_000 });
await server.register(proxy, {
  upstream: process.env["ORIGIN"] ?? "",
  undici: { connections: 32, pipelining: 1 },
});
const address = await server.listen({ host: "127.0.0.1", port: 0 });
process.send?.({ port: Number(new URL(address).port) });
process.on("disconnect", () => process.exit(0));
