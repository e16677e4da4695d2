import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { description } from "../core/socket-registry/session-entry.ts";
import {
  countBudgetClosed,
  countEnd,
  countHandshake,
  countReconnect,
  countResume,
  countUnknown,
  keepCounts,
  takeCounts,
  tallyOf,
} from "../../objects/web-socket-relay/told-counts.ts";
import { tallyRelayed } from "../../objects/web-socket-relay/tally.ts";

const START = 1_790_000_000_000;

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  takeCounts();
});
afterEach(() => void vi.useRealTimers());

/** All that has not been told. */
function told(): object {
  const routes = [...(takeCounts() ?? [])].map(([route, names]) => [route, Object.fromEntries(names)] as const);
  return Object.fromEntries(routes);
}

it("what happened is told once, by route and name", () => {
  countReconnect("chat", "gave-up");
  countUnknown("chat", 1);
  countUnknown("news", 0);
  countBudgetClosed("chat");
  countResume("chat", 4410);
  countResume("chat", "restored");
  countHandshake("news", "open");
  countHandshake("news", "open");
  tallyRelayed(tallyOf("chat"), 3);
  expect(told()).toEqual({
    chat: {
      "upstreamReconnects.gave-up": 1,
      inFlightUnknown: 1,
      budgetClosed: 1,
      "resumes.4410": 1,
      "resumes.restored": 1,
      "relayMs.4": 1,
    },
    news: { "handshakes.open": 2 },
  });
  expect(takeCounts()).toBeUndefined();
});

it("what could not be told is told with what comes next", () => {
  countHandshake("chat", "open");
  const lost = takeCounts();
  countHandshake("chat", "open");
  if (lost !== undefined) keepCounts(lost);
  expect(told()).toEqual({ chat: { "handshakes.open": 2 } });
});

it.each([
  [{ by: "client", code: 1000 }, 0, { "closes.client.1000": 1, sessionMs: 0, "sessionSeconds.1": 1 }],
  [{ by: "unseen", code: null }, 1_001, { "closes.unseen.none": 1, sessionMs: 1_001, "sessionSeconds.4": 1 }],
  [
    { by: "gateway", code: 1008, why: "rateLimited" },
    64_000,
    { "closes.gateway.1008": 1, rateLimited: 1, sessionMs: 64_000, "sessionSeconds.64": 1 },
  ],
] as const)("a session that ends is counted, with what passed in it: %o after %d ms", (end, ms, counts) => {
  const passed = { messagesIn: 1, messagesOut: 2, bytesIn: 3, bytesOut: 4, resumes: 0, replayed: 0 };
  countEnd(description("a", { ...passed, openedAt: START - ms }), end);
  expect(told()).toEqual({
    chat: { ...counts, "messages.in": 1, "messages.out": 2, "bytes.in": 3, "bytes.out": 4 },
  });
});

// The last: what it fills stays full.
it("a thousand routes are tallied, each for all of its sessions, and no more", () => {
  tallyOf("chat");
  const tallies = Array.from({ length: 1_000 }, (_, index) => tallyOf(`route ${index}`));
  expect(tallies.slice(0, 999)).toEqual(tallies.slice(0, 999).map((_, index) => tallyOf(`route ${index}`)));
  tallyRelayed(tallyOf("route 998"), 1);
  // With "chat" it is one too many.
  tallyRelayed(tallyOf("route 999"), 1);
  tallyRelayed(tallyOf("route 998"), 1);
  expect(told()).toEqual({ "route 998": { "relayMs.1": 2 } });
});
