import { createLru } from "../../objects/lru.ts";

/** What a token says, once its signature is known to be ours. */
export interface Binding {
  /** Names a target of a backend; see `tagOf`. */
  readonly tag: string;
  /** Ms since the epoch; Infinity: it holds until the client forgets it. */
  readonly expiresAt: number;
}

/** Makes and reads tokens under one secret. */
export interface StickyTokens {
  /** What stands for a target in tokens: 96 bits of an HMAC, so that nobody reads from a token where requests go. */
  tagOf(backend: string, url: string): Promise<string>;
  issue(binding: Binding): Promise<string>;
  /** What a token says; undefined: nothing that we signed. At once when this isolate has seen it before, or when it can't be one. */
  read(token: string): Binding | undefined | Promise<Binding | undefined>;
}

/** Version, tag, expiry in base 36 ("0": none), signature. At most 71 characters; nothing longer is looked at. */
const TOKEN = /^1\.[A-Za-z0-9_-]{16}\.[0-9a-z]{1,9}\.[A-Za-z0-9_-]{43}$/;
const SIGNATURE_LENGTH = 43;
const TAG_LENGTH = 16;
/** A token is of a target and a time, not of a client: a backend of ten targets has some 170 at a time. */
const CAPACITY = 1_000;

const PURPOSE = "sluice sticky binding v1";

let latest: { readonly secret: string; readonly tokens: StickyTokens } | undefined;

/** The tokens under a secret, the same value each time in an isolate. */
export function stickyTokens(secret: string): StickyTokens {
  if (latest?.secret !== secret) latest = { secret, tokens: createTokens(secret) };
  return latest.tokens;
}

/** The key is derived from the secret for this purpose alone: what is signed here is of no use as an object's name. */
function createTokens(secret: string): StickyTokens {
  const known = createLru<string, Binding>(CAPACITY);
  let key: Awaited<ReturnType<typeof deriveKey>> | undefined;

  async function sign(text: string): Promise<string> {
    // The key is kept, never the promise of it: another request's promise hangs when that request is cancelled.
    key ??= await deriveKey(secret);
    return toBase64Url(await crypto.subtle.sign("HMAC", key, bytesOf(text)));
  }

  async function verify(token: string): Promise<Binding | undefined> {
    key ??= await deriveKey(secret);
    const signed = token.slice(0, -SIGNATURE_LENGTH - 1);
    // Constant-time, which comparing two texts is not.
    const isOurs = await crypto.subtle.verify(
      "HMAC",
      key,
      fromBase64Url(token.slice(-SIGNATURE_LENGTH)),
      bytesOf(textOf("binding", signed)),
    );
    if (!isOurs) return undefined;
    const [, tag = "", expiry = ""] = signed.split(".");
    const binding = { tag, expiresAt: expiry === "0" ? Infinity : parseInt(expiry, 36) };
    known.set(token, binding);
    return binding;
  }

  return {
    async tagOf(backend, url) {
      return (await sign(textOf("target", backend, url))).slice(0, TAG_LENGTH);
    },
    async issue(binding) {
      const { tag, expiresAt } = binding;
      const signed = `1.${tag}.${expiresAt === Infinity ? "0" : expiresAt.toString(36)}`;
      const token = `${signed}.${await sign(textOf("binding", signed))}`;
      known.set(token, binding);
      return token;
    },
    read(token) {
      return known.get(token) ?? (TOKEN.test(token) ? verify(token) : undefined);
    },
  };
}

/** As JSON with its kind, what is signed as one thing is never read as another. */
function textOf(kind: "target" | "binding", ...parts: readonly string[]): string {
  return JSON.stringify([kind, ...parts]);
}

async function deriveKey(secret: string) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const root = await crypto.subtle.importKey("raw", bytesOf(secret), algorithm, false, ["sign"]);
  const derived = await crypto.subtle.sign("HMAC", root, bytesOf(PURPOSE));
  return crypto.subtle.importKey("raw", derived, algorithm, false, ["sign", "verify"]);
}

function bytesOf(text: string) {
  return new TextEncoder().encode(text);
}

function toBase64Url(bytes: ArrayBuffer): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(bytes, (character) => character.charCodeAt(0));
}
