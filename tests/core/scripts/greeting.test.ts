import { expect, it } from "vitest";
import { parseConfig } from "../../../schemas/index.ts";
import { greeting } from "../../../scripts/start/greeting.ts";

it("tries a route that a plain curl can meet, which one for WebSockets alone is not", () => {
  const target = "https://example.com";
  const parsed = parseConfig({
    routes: [
      { prefix: "/raw", target, webSocket: { required: true } },
      { prefix: "/live", target, webSocket: true },
    ],
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const text = greeting({
    urls: ["http://127.0.0.1:8787"],
    config: parsed.config,
    adminToken: "token",
    tokenVariable: undefined,
    state: "state",
    backend: "file",
    path: undefined,
    readyMs: 1,
  });
  expect(text).toContain("  curl -i http://127.0.0.1:8787/live\n");
});
