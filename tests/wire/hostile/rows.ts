import type { ErrorCode } from "../../../worker/errors.ts";
import { type RawRequest, request } from "../../support/raw-request.ts";

/** What must come of a hostile request. */
export type HostileAnswer =
  /** The gateway refuses; the origin sees nothing. */
  | { readonly status: number; readonly code: ErrorCode; readonly allow?: string }
  /** The runtime's HTTP parser refuses before the Worker runs. */
  | { readonly status: number; readonly by: "runtime" }
  /** It is forwarded, and this is what the origin sees. */
  | {
      readonly status: 200;
      readonly target: string;
      readonly method?: string;
      readonly body?: string;
      /** Header values at the origin; undefined: absent. */
      readonly headers?: Readonly<Record<string, string | undefined>>;
    };

/** One attack, as bytes, with its answer. */
export interface HostileRow {
  readonly attack: string;
  readonly bytes: string;
  readonly answer: HostileAnswer;
}

/** The routes that the rows talk about; each target names its route, so that the origin shows which one was met. */
export function hostileConfig(originUrl: string): unknown {
  return {
    allowPrivateTargets: true,
    routes: [
      { prefix: "/public", target: `${originUrl}/via-public` },
      { prefix: "/private", target: `${originUrl}/via-private` },
      { prefix: "/gitlab", target: `${originUrl}/via-gitlab` },
      { prefix: "/reading", methods: ["GET"], target: `${originUrl}/via-reading` },
      { prefix: "/small", target: `${originUrl}/via-small`, sizeLimits: { maxBodySize: 100 } },
      { prefix: "/hosted", hosts: ["only.test"], target: `${originUrl}/via-hosted` },
      { prefix: "/", hosts: ["catch.test"], target: `${originUrl}/via-catch` },
      { prefix: "/private", hosts: ["catch.test"], target: `${originUrl}/via-private` },
      { prefix: "/versioned", target: `${originUrl}/via-first` },
      { prefix: "/versioned", headers: { "x-version": "2" }, target: `${originUrl}/via-second` },
      {
        prefix: "/keyed",
        target: `${originUrl}/via-keyed`,
        rateLimit: { requestsPerWindow: 1, windowSeconds: 3600, by: "header:x-key", deadline: "20s" },
      },
      { prefix: "/caf%c3%a9%20menu", target: `${originUrl}/via-escaped` },
      { prefix: "/caf%c3%a9%20menu", hosts: ["catch.test"], target: `${originUrl}/via-escaped` },
      {
        prefix: "/once",
        target: `${originUrl}/via-once`,
        rateLimit: { requestsPerWindow: 1, windowSeconds: 3600, deadline: "20s" },
      },
    ],
  };
}

// What most rows end in.
export const invalidPath = { status: 400, code: "invalid-path" } as const;
export const ambiguous = { status: 400, code: "ambiguous-path" } as const;
export const noRoute = { status: 404, code: "route-not-found" } as const;
export const badRequest = { status: 400, code: "invalid-request" } as const;
export const runtime400 = { status: 400, by: "runtime" } as const;
/** Forwarded, and this is the request target that the origin sees. */
export const forwarded = (target: string) => ({ status: 200, target }) as const;

/** A GET for a target. */
export const get = (attack: string, target: string, answer: HostileAnswer): HostileRow => ({
  attack,
  bytes: request({ target }),
  answer,
});
/** A request of any shape. */
export const ask = (attack: string, options: RawRequest, answer: HostileAnswer): HostileRow => ({
  attack,
  bytes: request(options),
  answer,
});
/** Bytes as they are. */
export const raw = (attack: string, bytes: string, answer: HostileAnswer): HostileRow => ({ attack, bytes, answer });

/** What an origin sees of who is asking, whoever the client says it is. */
export const NOBODY_ELSE = {
  "x-forwarded-for": "127.0.0.1",
  "x-forwarded-proto": "http",
  "x-forwarded-host": "gateway.test",
} as const;
