import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** Pure code and real sockets run on Node; objects and steps run inside workerd, where they ship. */
export default defineConfig({
  test: {
    projects: [
      {
        // Properties run thousands of cases; a loaded machine must not turn that into a failure.
        test: {
          name: "core",
          include: ["tests/core/**/*.test.ts"],
          environment: "node",
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // Seeded and on a virtual clock; slow only because it runs hours of it.
        test: {
          name: "simulation",
          include: ["tests/simulation/**/*.test.ts"],
          environment: "node",
          testTimeout: 60_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.jsonc" },
            // Optional tiers, which wrangler.jsonc does not declare.
            miniflare: {
              kvNamespaces: ["PROXY_CONFIG"],
              // Objects that tell others of something name them themselves.
              bindings: { NAMING_SECRET: "secret of the tests" },
              // Under another name: as SHIELD it would stand in front of every test.
              ratelimits: { TEST_SHIELD: { namespace_id: "1", simple: { limit: 3, period: 60 } } },
            },
          }),
        ],
        test: {
          name: "workerd",
          include: ["tests/objects/**/*.test.ts", "tests/worker/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "wire",
          include: ["tests/wire/**/*.test.ts", "tests/e2e/**/*.test.ts", "tests/browser/**/*.test.ts"],
          environment: "node",
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Real sockets and child processes, which mostly wait: more at once would starve each other on two cores.
          maxWorkers: 2,
        },
      },
    ],
  },
});
