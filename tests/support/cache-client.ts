import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import type { CountingOrigin } from "./counting-origin.ts";

/** What a client got, its body as it is coded. */
export interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** `X-Cache`. */
  readonly cache: string | undefined;
}

/** What a client asks beside the path. */
export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly host?: string;
  readonly body?: string;
}

/** One request on a connection of its own. */
export function get(
  base: string,
  path: string,
  { method = "GET", headers = {}, host = "gateway.test", body }: Asking = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const asking = httpRequest(base + path, { method, headers: { host, ...headers }, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => void chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const cache = response.headers["x-cache"];
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks),
          cache: typeof cache === "string" ? cache : undefined,
        });
      });
    });
    asking.on("error", reject);
    asking.end(body);
  });
}

/** The most that counts of the time between two looks at a running clock: a hundred times what an answer takes. */
const STEP_MS = 200;

/**
 * A clock in ms that stands still with a machine that is too busy: for what must have come about in so much time, by processes that
 * may be stopped meanwhile. Look at it before each time that you ask.
 */
export function runningClock(): () => number {
  let [last, ran] = [performance.now(), 0];
  return () => {
    const now = performance.now();
    ran += Math.min(now - last, STEP_MS);
    last = now;
    return ran;
  };
}

/** Asks until the answer comes from the cache: what is kept is written behind the answer's back. */
export async function kept(base: string, path: string, asking: Asking = {}): Promise<Got> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const got = await get(base, path, asking);
    if (got.cache === "HIT") return got;
    if (Date.now() > deadline) throw new Error(`${path} is not kept: ${JSON.stringify(got.headers)}`);
  }
}

let canaries = 0;

/**
 * Resolves once what was written before is there: a response that was asked for later is.
 *
 * @param prefix of a route that keeps what its origin calls fresh.
 */
export async function settled(base: string, prefix: string, origin: CountingOrigin): Promise<void> {
  const path = `${prefix}/canary-${(canaries += 1)}`;
  origin.on(path, { headers: { "cache-control": "max-age=600" } });
  await kept(base, path);
}
