import { env } from "cloudflare:workers";
import type { LeaseMessage } from "../../objects/rate-limiter/leases/lease-messages.ts";
import type { RefundMessage, TakeMessage } from "../../objects/rate-limiter/messages.ts";
import type { RateLimiter } from "../../objects/rate-limiter/rate-limiter.ts";
import { parseConfig } from "../../schemas/index.ts";
import { compileConfig } from "../../worker/config/compile.ts";
import type { Exchange } from "../../worker/exchange.ts";
import { compileLimits, type LimitDecision } from "../../worker/limits/decide.ts";
import { readFields } from "../../worker/request-fields.ts";

/** A message that an owner was sent. */
export type Sent =
  | { readonly method: "lease"; readonly message: LeaseMessage }
  | { readonly method: "take"; readonly message: TakeMessage }
  | { readonly method: "refund"; readonly message: RefundMessage };

/** What stands between the Worker and an owner: may answer by itself, or let the message through. */
export type Between = (sent: Sent, proceed: () => Promise<unknown>) => Promise<unknown>;

/** Limits as a route of its own has them, and everything that their owners were sent. */
export interface Limited {
  readonly sent: readonly Sent[];
  /** Decides about a request from an address. */
  decide(address?: string): Promise<LimitDecision>;
  /** The same, as the step sees it: a promise only when somebody has to be asked. */
  decideNow(address?: string): LimitDecision | Promise<LimitDecision>;
  /** What the owner that got this message has of the client, and has lent. */
  counters(
    message: LeaseMessage | undefined,
  ): Promise<readonly { readonly remaining: number; readonly outstanding: number }[]>;
  /** Resolves when every message has its answer. */
  settled(): Promise<void>;
}

export interface LimitedOptions {
  readonly rateLimits: unknown;
  /** Names the counters; a route of the same name shares them. */
  readonly route: string;
  readonly version?: number;
  readonly tableEntries?: number;
  readonly between?: Between;
}

/** The shipped decision with the shipped owners, in this isolate. */
export function limited(options: LimitedOptions): Limited {
  const { rateLimits, route, version = 1, tableEntries = 100, between = (_, proceed) => proceed() } = options;
  const sent: Sent[] = [];
  const calls: Promise<unknown>[] = [];
  const owners = new Map<unknown, DurableObjectStub<RateLimiter>>();
  const owner = (stub: DurableObjectStub<RateLimiter>) =>
    new Proxy(stub, {
      get: (target, method) => (message: never) => {
        const one = { method, message } as unknown as Sent; // oxlint-disable-line typescript/no-unsafe-type-assertion -- as the Worker called it
        sent.push(one);
        owners.set(message, target);
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a stub answers to every name
        const call = between(one, () => (target[method as "lease"] as (sent: never) => Promise<unknown>)(message));
        calls.push(call);
        return call;
      },
    });
  const namespace = new Proxy(env.RATE_LIMITER, {
    get: (target, name) =>
      name === "get" ? (id: DurableObjectId) => owner(target.get(id)) : target.idFromName.bind(target),
  });
  // Owners of its own: one that failed is left alone for a while by everybody in this isolate.
  const bindings: Env = { ...env, RATE_LIMITER: namespace, NAMING_SECRET: `0123456789abcdef ${route}` };
  const parsed = parseConfig({
    routes: [{ id: route, prefix: "/", target: "https://origin.example", rateLimits }],
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const origin = { version, source: "default", text: "", warnings: [], platform: "socket" } as const;
  const compiled = compileConfig(parsed.config, origin).routes.get(route);
  if (compiled === undefined) throw new Error("the document has one route");
  const decideUnder = compileLimits(compiled.route.rateLimits, { tableEntries });
  const decideNow = (address = "192.0.2.1") => {
    const request = new Request("http://gateway.test/");
    const exchange: Exchange = {
      request,
      canonical: { method: "GET", scheme: "http", host: "gateway.test", path: "/", query: "" },
      fields: readFields(request.headers),
      requestId: "test",
      route: compiled,
      configVersion: version,
      client: { address, network: address, forwardedFor: address, scheme: "http" },
      principal: address,
      receivedAt: Date.now(),
      deadline: Date.now() + 1_000,
      env: bindings,
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a decision uses nothing else of the context
      ctx: { waitUntil: (_work: Promise<unknown>) => {} } as ExecutionContext,
      responseHeaders: [],
      notes: {},
    };
    return decideUnder(exchange, Date.now());
  };
  return {
    sent,
    decideNow,
    async decide(address) {
      return decideNow(address);
    },
    async counters(message) {
      const policies = (await owners.get(message)?.inspect(message?.client ?? ""))?.policies ?? [];
      return policies.map(({ remaining, outstanding }) => ({ remaining, outstanding }));
    },
    async settled() {
      while (calls.length > 0) await Promise.allSettled(calls.splice(0));
    },
  };
}
