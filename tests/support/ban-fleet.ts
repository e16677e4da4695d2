import type { Gateway } from "./gateway.ts";
import { startGateway } from "./gateway.ts";

/** Attempts at the limit within its window that ban a client. */
export const THRESHOLD = 100;
const LIMIT = { requestsPerWindow: 20, window: "1m", by: "header:x-client", deadline: "5s", ban: true };

/** An answer of the gateway, and when it was here. */
export interface Answered {
  readonly status: number;
  /** The problem's code; undefined for what is none. */
  readonly code: string | undefined;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Isolates that share owners, over a limit of 20 a minute that bans at 100 attempts; clients are told apart by a header. */
export class BanFleet {
  readonly gateway: Gateway;
  readonly #originUrl: string;
  #next = 0;

  private constructor(gateway: Gateway, originUrl: string) {
    this.gateway = gateway;
    this.#originUrl = originUrl;
  }

  /** @param state the state directory, for a fleet that is killed and starts again. */
  static async start(originUrl: string, options: { isolates: number; state?: string }): Promise<BanFleet> {
    const config = {
      allowPrivateTargets: true,
      logging: { enabled: false },
      rateLimit: LIMIT,
      routes: [{ prefix: "/", target: originUrl }],
    };
    return new BanFleet(await startGateway({ config, ...options }), originUrl);
  }

  /** One request of a client, at each isolate in turn unless one is named. */
  async ask(client: string, isolate: number = this.#next++): Promise<Answered> {
    const { urls } = this.gateway;
    return answered(await fetch(`${urls[isolate % urls.length]}/`, { headers: { "x-client": client } }));
  }

  /** So many requests of a client, eight at a time, over all isolates; how often each status or code was met. */
  async send(client: string, count: number): Promise<Readonly<Record<string, number>>> {
    const met: Record<string, number> = {};
    let left = count;
    const lane = async () => {
      while (left > 0) {
        left -= 1;
        const { code, status } = await this.ask(client);
        const key = code ?? String(status);
        met[key] = (met[key] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: 8 }, lane));
    return met;
  }

  /** A request of the admin API. */
  async admin(method: string, path: string, body?: unknown): Promise<Answered> {
    const { url, adminToken } = this.gateway;
    const init = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
    return answered(
      await fetch(`${url}/admin${path}`, { method, headers: { authorization: `Bearer ${adminToken}` }, ...init }),
    );
  }

  /** A client's id: what `pk` shows of it. Costs a request. */
  async idOf(client: string): Promise<string> {
    const pk = /pk=:([A-Za-z0-9]+):/.exec((await this.ask(client)).headers.get("ratelimit") ?? "")?.[1];
    if (pk === undefined) throw new Error(`the gateway says no pk of ${client}`);
    return pk;
  }

  /** The id of a client that is remembered, as an operator finds it. */
  async findId(client: string): Promise<string> {
    const found = await this.admin("GET", `/clients?by=header:x-client&value=${encodeURIComponent(client)}`);
    const id = /"client":"([A-Za-z0-9]+)"/.exec(JSON.stringify(found.body))?.[1];
    if (id === undefined) throw new Error(`nothing is remembered of ${client}`);
    return id;
  }

  /** Starts the same fleet on the same state after `gateway.kill()`. */
  async again(options: { isolates: number; state: string }): Promise<BanFleet> {
    return BanFleet.start(this.#originUrl, options);
  }
}

async function answered(response: Response): Promise<Answered> {
  const text = await response.text();
  const body: Readonly<Record<string, unknown>> = text.startsWith("{") ? JSON.parse(text) : {};
  const code = typeof body["code"] === "string" ? body["code"] : undefined;
  return { status: response.status, code, headers: response.headers, body };
}
