import { fileURLToPath } from "node:url";
import { type Gateway, startGateway } from "../gateway.ts";
import { ArrivalsOrigin } from "./arrivals-origin.ts";
import { overAdmission } from "./over-admission.ts";
import { Traffic } from "./traffic.ts";

const ISOLATES = 4;
const WINDOW_MS = 10_000;
/** What comes is half of the old limit and ten times the new one, so isolates hold leases of the longest kind. */
const PER_SECOND = 100;
const OLD_LIMIT = 2_000;
const NEW_LIMIT = 100;
/** The longest time to live and the owner's guard (docs/design/leases.md). */
const LONGEST_LEASE_MS = 5_100;
const BEFORE_MS = 8_000;
/** Isolates look at KV every 5 s; then the longest lease; then two windows to be watched. */
const AFTER_MS = 5_000 + LONGEST_LEASE_MS + 2 * WINDOW_MS;

/** What was seen of a limit that was lowered while it was in use. */
export interface LoweredLimitReport {
  readonly sent: number;
  /** Until the first isolate worked by the new limit, and from the longest lease after that. */
  readonly admittedBefore: number;
  readonly admittedAfter: number;
  /** Tokens above the new limit from then on. */
  readonly excess: number;
  /** The same over the whole time, which the old limit allowed. */
  readonly excessOfAll: number;
}

/** Lowers a client's limit through KV, under way and in every isolate at another time. */
export async function loweredLimit(): Promise<LoweredLimitReport> {
  const limit = { name: "lowered", tokensPerWindow: NEW_LIMIT, windowMs: WINDOW_MS, burst: NEW_LIMIT };
  const traffic = new Traffic([{ name: "anyone", prefix: "/any", weight: 1, costs: [1], limits: [limit] }]);
  const origin = await ArrivalsOrigin.start((request, at) => traffic.arrived(request, at));
  const entry = fileURLToPath(new URL("../kv-config-entry.ts", import.meta.url));
  const gateway = await startGateway({ isolates: ISOLATES, entry, config: document(origin.url, OLD_LIMIT) });
  try {
    await configure(gateway, 1, document(origin.url, OLD_LIMIT));
    traffic.serve(gateway.urls);
    const stream = traffic.stream(PER_SECOND, BEFORE_MS + AFTER_MS);
    await new Promise((resolve) => setTimeout(resolve, BEFORE_MS));
    await configure(gateway, 2, document(origin.url, NEW_LIMIT));
    await untilActive(gateway, 2);
    // One request for each isolate: by then the one that has the new document has asked the owner under it.
    await traffic.storm(ISOLATES, ISOLATES);
    const loweredAt = Date.now();
    await stream;
    const admissions = traffic.admissions(0, limit);
    const after = admissions.filter(({ from }) => from >= loweredAt + LONGEST_LEASE_MS);
    return {
      sent: traffic.sent,
      admittedBefore: admissions.filter(({ until }) => until < loweredAt).length,
      admittedAfter: after.length,
      excess: overAdmission(after, limit),
      excessOfAll: overAdmission(admissions, limit),
    };
  } finally {
    traffic.close();
    await gateway.stop();
    await origin.stop();
  }
}

function document(target: string, requestsPerWindow: number): unknown {
  const limit = { name: "lowered", requestsPerWindow, window: `${WINDOW_MS}ms`, by: "header:x-client" };
  const rateLimits = [{ ...limit, clients: "own", onError: "closed", deadline: "5s" }];
  return {
    allowPrivateTargets: true,
    logging: { enabled: false },
    routes: [{ id: "any", prefix: "/any", target, rateLimits }],
  };
}

async function configure({ url }: Gateway, version: number, config: unknown): Promise<void> {
  const headers = { "x-test-config-version": String(version) };
  await (await fetch(url, { method: "PUT", headers, body: JSON.stringify(config) })).text();
}

/** Waits for the log line of the first isolate; another process's pipe gives no event to await. */
async function untilActive(gateway: Gateway, version: number): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    const lines = gateway.logs().filter((line) => line["message"] === "configuration active");
    if (lines.some((line) => line["version"] === version)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`version ${version} of the configuration did not become active within 20 s`);
}
