import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../schemas/index.ts";
import { isAnyWatched, watchedTargets } from "../../../worker/admin/backends/watched-targets.ts";

/** By what each target is watched, by the last part of its URL. */
function watchedIn(document: object): Record<string, readonly string[]> {
  const watched = [...watchedTargets(configOf(document))].map(([url, { byBreaker, byHealthCheck, byChoice }]) => {
    const by = { breaker: byBreaker, check: byHealthCheck, choice: byChoice };
    return [url.slice(url.lastIndexOf("/") + 1), Object.entries(by).flatMap(([name, is]) => (is ? [name] : []))];
  });
  return Object.fromEntries(watched);
}

function configOf(document: object) {
  const result = parseConfig(document);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.config;
}

function url(name: string): string {
  return `https://origin.example/${name}`;
}

const breaker = { failureThreshold: 5 };

describe("a target is watched", () => {
  it("by its breaker where a route has one, be it the top level's, its backend's or its own", () => {
    const backends = {
      plain: { targets: [{ url: url("plain") }] },
      off: { targets: [{ url: url("off") }], circuitBreaker: false },
      own: { targets: [{ url: url("own") }], circuitBreaker: false },
    };
    const routes = [
      { prefix: "/plain", backend: "plain" },
      { prefix: "/off", backend: "off" },
      { prefix: "/own", backend: "own", circuitBreaker: breaker },
    ];
    expect(watchedIn({ circuitBreaker: breaker, backends, routes })).toEqual({
      plain: ["breaker"],
      off: [],
      own: ["breaker"],
    });
  });

  it("by the breaker of its backend where that stands in for another, and not where nobody comes", () => {
    const fallback = (backend: string) => ({ circuitBreaker: { ...breaker, fallback: { backend } } });
    const backends = {
      first: { targets: [{ url: url("first") }], ...fallback("second") },
      second: { targets: [{ url: url("second") }], ...fallback("third") },
      third: { targets: [{ url: url("third") }], circuitBreaker: breaker },
      spare: { targets: [{ url: url("spare") }], circuitBreaker: breaker },
    };
    expect(watchedIn({ backends, routes: [{ prefix: "/", backend: "first" }] })).toEqual({
      first: ["breaker"],
      second: ["breaker"],
      // Nobody stands in for one that stands in.
      third: [],
      spare: [],
    });
  });

  it("by all that any of its backends asks for", () => {
    const backends = {
      pair: { targets: [{ url: url("shared") }, { url: url("other") }] },
      checked: { targets: [{ url: url("shared") }], healthCheck: { path: "/health" } },
    };
    expect(watchedIn({ backends, routes: [{ prefix: "/", backend: "pair" }] })).toEqual({
      shared: ["check", "choice"],
      other: ["choice"],
    });
  });
});

it("nobody is watched where no policy about backends is configured", () => {
  expect(isAnyWatched(configOf({ routes: [{ prefix: "/", target: url("only") }] }))).toBe(false);
  expect(isAnyWatched(configOf({ routes: [{ prefix: "/", target: url("only"), circuitBreaker: breaker }] }))).toBe(
    true,
  );
});
