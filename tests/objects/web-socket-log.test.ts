import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { description } from "../core/socket-registry/session-entry.ts";
import type { Opening } from "../../objects/web-socket-relay/opening.ts";
import { countsOf, logSession, refusalEnd, warn } from "../../objects/web-socket-relay/session-log.ts";
import { takeCounts } from "../../objects/web-socket-relay/told-counts.ts";

const START = 1_790_000_000_000;
const TIME = "2026-09-21T14:13:20.000Z";

beforeEach(() => void vi.useFakeTimers({ now: START + 1_500 }));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** The lines that are written from now on. */
function lines(level: "log" | "warn"): unknown[] {
  const written: unknown[] = [];
  vi.spyOn(console, level).mockImplementation((line: string) => void written.push(JSON.parse(line)));
  return written;
}

it.each([
  [1008, { by: "gateway", code: 1008, why: "rateLimited" }],
  [1013, { by: "gateway", code: 1013, why: "budgetClosed" }],
  [1009, { by: "gateway", code: 1009 }],
  [undefined, { by: "gateway", code: null }],
])("a session that is closed with %s for what a side has sent ends so: %o", (code, end) => {
  expect(refusalEnd(code)).toEqual(end);
});

it("a session that has ended is counted, and one line", () => {
  const written = lines("log");
  takeCounts();
  const session = description("a", { protocol: "mqtt", upstream: "http://backend.test" });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of it is looked at
  const opening = { requestId: "r", client: { address: "192.0.2.7", forwardedFor: "" } } as Opening;
  logSession(opening, session, { by: "upstream", code: 1001 }, { messagesIn: 3 });
  logSession(opening, description("b", { upstream: null }), { by: "unseen", code: null }, {});
  const line = { level: "info", message: "web-socket", time: TIME, requestId: "r", route: "chat", mode: "bridge" };
  const rest = { durationMs: 1_500, client: "192.0.2.7" };
  const target = { protocol: "mqtt", target: "http://backend.test" };
  expect(written).toEqual([
    { ...line, ...rest, ...target, session: "a", endedBy: "upstream", closeCode: 1001, messagesIn: 3 },
    { ...line, ...rest, session: "b", endedBy: "unseen", closeCode: null },
  ]);
  expect([...(takeCounts()?.get("chat")?.keys() ?? [])]).toEqual(
    expect.arrayContaining(["closes.upstream.1001", "closes.unseen.none"]),
  );
});

it("what passed is said, and how often a side was away where one was", () => {
  const passed = { messagesIn: 1, messagesOut: 2, bytesIn: 3, bytesOut: 4 };
  expect(countsOf(description("a", { ...passed, replayed: 1 }))).toEqual(passed);
  for (const away of [
    { resumes: 1, replayed: 5, reconnects: 0 },
    { resumes: 0, replayed: 0, reconnects: 2 },
    { resumes: 1, replayed: 0, reconnects: 1 },
  ]) {
    expect(countsOf(description("a", { ...passed, ...away }))).toEqual({ ...passed, ...away });
  }
});

it("a warning says of which session it is, and when", () => {
  const written = lines("warn");
  warn("a", "web-socket-session-lost", { tries: 2 });
  const time = "2026-09-21T14:13:21.500Z";
  expect(written).toEqual([{ level: "warn", event: "web-socket-session-lost", time, session: "a", tries: 2 }]);
});
