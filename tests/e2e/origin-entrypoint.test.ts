import { afterAll, beforeAll, expect, it } from "vitest";
import { createServer, type Server } from "node:http";
import { startGateway, type Gateway } from "../support/gateway.ts";

let origin: Server;
let gateway: Gateway;

beforeAll(async () => {
  origin = createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }));
  });
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  const address = origin.address();
  if (address === null || typeof address === "string") throw new Error("the origin has no port");
  gateway = await startGateway({
    entry: "tests/support/origin-entry.ts",
    config: {
      allowPrivateTargets: true,
      rateLimit: { requestsPerWindow: 1, windowSeconds: 3600, onError: "closed", deadline: "20s" },
      routes: [{ id: "api", prefix: "/api", target: `http://127.0.0.1:${address.port}/v1` }],
    },
  });
});

afterAll(async () => {
  await gateway.stop();
  origin.closeAllConnections();
  origin.close();
});

it("runs the tail of a named route for a client that was let in before, without counting it again", async () => {
  for (const path of ["/api/users?b=2&a=1", "/api/users?b=2&a=1"]) {
    const response = await fetch(gateway.url + path, { headers: { "x-test-origin-route": "api" } });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      method: "GET",
      url: "/v1/users?b=2&a=1",
      headers: { "x-forwarded-for": "198.51.100.7", "x-request-id": "probe-0001" },
    });
  }
});

it("answers a route that the configuration does not have with a problem", async () => {
  const response = await fetch(`${gateway.url}/api/x`, { headers: { "x-test-origin-route": "gone" } });
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ code: "route-not-found", requestId: "probe-0001" });
});
