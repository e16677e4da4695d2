import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";

/** One of many who ask for the same. */
export interface Member {
  readonly url: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Begins so long after the first, in ms. */
  readonly afterMs?: number;
  /** Leaves so long after it began, in ms. */
  readonly leavesMs?: number;
}

/** What one of them got. Times in ms since it began. */
export interface Outcome {
  /** 0: nothing. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly firstByteMs: number;
  readonly lastByteMs: number;
}

const PATIENCE_MS = 30_000;
/** One for all: isolates have ports of their own, and what is asked of another host is something else. */
const HOST = "coalescing.test";

/** Lets all of them ask, each on a connection of its own; without those that leave. */
export async function askAll(members: readonly Member[]): Promise<readonly Outcome[]> {
  const outcomes = await Promise.all(members.map(ask));
  return outcomes.filter((outcome) => outcome !== undefined);
}

async function ask({ url, headers = {}, afterMs = 0, leavesMs }: Member): Promise<Outcome | undefined> {
  if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
  const began = performance.now();
  const since = () => performance.now() - began;
  return new Promise((resolve) => {
    const nothing = () =>
      resolve(
        leavesMs === undefined ? { status: 0, headers: {}, firstByteMs: since(), lastByteMs: since() } : undefined,
      );
    const asking = request(
      url,
      { headers: { host: HOST, ...headers }, agent: false, timeout: PATIENCE_MS },
      (response) => {
        let firstByteMs: number | undefined;
        response.on("data", () => void (firstByteMs ??= since()));
        response.on("error", nothing);
        response.on("end", () => {
          const lastByteMs = since();
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            firstByteMs: firstByteMs ?? lastByteMs,
            lastByteMs,
          });
        });
      },
    );
    asking.on("error", nothing);
    asking.on("timeout", () => asking.destroy());
    asking.end();
    if (leavesMs !== undefined) setTimeout(() => asking.destroy(), leavesMs);
  });
}

/** The middle one; of an even number the lower. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? 0;
}
