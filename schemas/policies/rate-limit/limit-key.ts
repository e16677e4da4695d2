import * as v from "valibot";
import type { LimitKey } from "../../rate-limit-types.ts";
import { listOf } from "../../values/primitives.ts";

const KEY =
  '"ip", "all", "route", "principal", "consumer", "header:NAME", "cookie:NAME" or "claim:NAME", or an array of these';

/** What proxies tell each other about the client's address; as it arrives, it is the client's own word. */
const ADDRESS_HEADER =
  /^(?:x-forwarded-.*|forwarded|x-real-ip|(?:x-|true-|x-cluster-)client-ip|cf-connecting-ip(?:v6)?|cf-pseudo-ipv4)$/;

const BY_IP =
  '"ip", with "clientIp" saying where the address comes from: any client can write this header, and so choose its bucket';

const limitKey = v.pipe(
  v.string(KEY),
  v.rawTransform<string, LimitKey>(({ dataset, addIssue, NEVER }) => {
    const key = readKey(dataset.value);
    if (key !== undefined) return key;
    addIssue({ message: KEY });
    return NEVER;
  }),
);

/** `by`: what makes a client. */
export const limitKeys = v.pipe(
  v.union([limitKey, listOf(limitKey, KEY, KEY)], KEY),
  v.transform((keys) => (Array.isArray(keys) ? keys : [keys])),
  v.check((keys) => keys.every((key) => key.kind !== "header" || !ADDRESS_HEADER.test(key.name)), BY_IP),
  v.check(
    (keys) => keys.every((key) => key.kind !== "header" || key.name !== "cookie"),
    '"cookie:NAME": the whole Cookie header changes with any of its cookies',
  ),
  v.check((keys) => new Set(keys.map(formatKey)).size === keys.length, "each key once"),
  v.check(
    (keys) => keys.length === 1 || keys.every(({ kind }) => kind !== "all"),
    '"all" alone: with another key it adds nothing',
  ),
);

/** Whether authentication vouches for every key, so that nobody can make up clients. */
export function isVerified(keys: readonly LimitKey[]): boolean {
  return keys.every(({ kind }) => kind === "principal" || kind === "consumer" || kind === "claim");
}

/** Whether one counter holds for everybody. */
export function isForEverybody(keys: readonly LimitKey[]): boolean {
  return keys.every(({ kind }) => kind === "all" || kind === "route");
}

/** A key as it is written. */
export function formatKey(key: LimitKey): string {
  return "name" in key ? `${key.kind}:${key.name}` : key.kind;
}

function readKey(text: string): LimitKey | undefined {
  switch (text) {
    case "ip":
    case "all":
    case "route":
    case "principal":
    case "consumer":
      return { kind: text };
    default:
      return readNamedKey(text);
  }
}

function readNamedKey(text: string): LimitKey | undefined {
  // RFC 9110 5.6.2 and RFC 6265 4.1.1: names of headers and cookies are tokens. Claims may be URLs (RFC 7519 4.2).
  const [, kind, token = ""] = /^(header|cookie):([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})$/.exec(text) ?? [];
  if (kind === "header") return { kind, name: token.toLowerCase() };
  if (kind === "cookie") return { kind, name: token };
  const claim = /^claim:([\x21-\x7e]{1,128})$/.exec(text)?.[1];
  return claim === undefined ? undefined : { kind: "claim", name: claim };
}
