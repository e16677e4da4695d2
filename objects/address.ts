import { createLru } from "./lru.ts";

/** What to find the owner of. */
export interface ClientQuery {
  /**
   * The identity, kinds and values in order (`["ip", "192.0.2.7"]`). Any strings, of any length: two lists that
   * differ in any way are two clients.
   */
  readonly parts: readonly string[];
  /** `pooled`: one row among others in one of 256 objects; `own`: an object to itself. */
  readonly clients: "pooled" | "own";
  /**
   * The continent (`request.cf.continent`) that places a pooled client near its owner. It is part of the identity, so
   * pass it only when the parts hold the client's address: a client that is told apart by anything else may come from
   * anywhere and would get one counter a continent. Anything but the seven codes is "no continent", a pool of its own.
   */
  readonly continent: string | undefined;
}

/** Where a client's counters live. */
export interface ObjectAddress {
  /** The object's name, for `idFromName`. */
  readonly name: string;
  /**
   * The client's handle: the row in the object, the `pk` of `RateLimit`, and the id in the admin API. 24 letters and
   * digits, opaque (136 bits of an HMAC), and enough to find the owner. It reads the same as Base64 and as
   * base64url, where it is 18 bytes.
   */
  readonly client: string;
  /** Where the runtime should place the object when it is first used; undefined: near the caller. */
  readonly locationHint?: LocationHint;
}

/** Turns identities into the names of objects; one a secret and isolate. */
export interface Addresses {
  /** The address of a client: at once when it is known, a promise when it has to be computed. */
  addressClient(query: ClientQuery): ObjectAddress | Promise<ObjectAddress>;
  /** The address behind a handle; null when the text cannot be a handle, before anything is asked or stored. */
  locateClient(handle: string): Promise<ObjectAddress | null>;
  /** One of the shards of a client that is too hot for its owner; placed where its first isolate is. */
  addressShard(handle: string, index: number): Promise<{ readonly name: string }>;
  /** An object that holds no client, for readiness checks. */
  probe(): Promise<{ readonly name: string }>;
  /** The object that lists the bans of the whole deployment, for operators. */
  banIndex(): Promise<{ readonly name: string }>;
  /** The `CircuitBreaker` of a target, told apart by its URL as the configuration writes it; near its first isolate. */
  breaker(url: string): Promise<{ readonly name: string }>;
  /** The one `ControlPlane` of the whole deployment; near its first isolate. */
  controlPlane(): Promise<{ readonly name: string }>;
  /** One of the shards that list live WebSocket sessions; near its first isolate. */
  socketRegistry(shard: number): Promise<{ readonly name: string }>;
  /** The `WebSocketRelay` of clients that share a connection: its route, its URL, what tells them apart; near its first isolate. */
  sharedSocket(parts: readonly string[]): Promise<{ readonly name: string }>;
  /** The `WebSocketRelay` of a session that its client can come back to, by the id that the client has chosen; near its first isolate. */
  heldSocket(parts: readonly string[]): Promise<{ readonly name: string }>;
  /** The `Rollout` of a route's release; near its first isolate. */
  rollout(route: string): Promise<{ readonly name: string }>;
  /** The `UpstreamQuota` of a quota, by its name in the configuration; near its first isolate. */
  upstreamQuota(quota: string): Promise<{ readonly name: string }>;
  /** The `Dedup` of an idempotency key: its route, what makes its principal, the key; near its first isolate. */
  idempotency(parts: readonly string[]): Promise<{ readonly name: string }>;
  /**
   * The `Dedup` of the flights of a key; near its first isolate. Each key has its own. On a machine of one's own 4,096 are shared by all
   * keys: there every object is a file for good, and anybody may ask for any URL.
   */
  flight(cacheKey: string, hasFiles: boolean): Promise<{ readonly name: string }>;
}

type LocationHint = "afr" | "apac" | "enam" | "oc" | "sam" | "weur";

interface Pool {
  readonly continent: string;
  readonly hint: LocationHint | undefined;
}

/**
 * The pools; a handle's first letter is the place in this list, so it may only grow at its end. North America has two
 * locations and a continent cannot tell them apart: east, where more of its people live, and Europe is closer.
 * Antarctica's links land in Oceania and South America.
 */
const POOLS: readonly Pool[] = [
  { continent: "", hint: undefined },
  { continent: "AF", hint: "afr" },
  { continent: "AN", hint: "oc" },
  { continent: "AS", hint: "apac" },
  { continent: "EU", hint: "weur" },
  { continent: "NA", hint: "enam" },
  { continent: "OC", hint: "oc" },
  { continent: "SA", hint: "sam" },
];
const OBJECTS_IN_POOL = 256;

/** No `+ / - _`, so a handle needs no escaping in a header, a path or a log, and no second spelling exists. */
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const OWN = "o";
const TAG_LENGTH = 23;
const HANDLE = new RegExp(`^[${LETTERS.slice(0, POOLS.length)}${OWN}][A-Za-z0-9]{${TAG_LENGTH}}$`);

/** Longer identities are computed each time: a thousand headers of 100 kB are not worth an isolate's memory. */
const MAX_CACHED_KEY_LENGTH = 512;
const MIN_SECRET_LENGTH = 16;

let latest: { readonly secret: string; readonly addresses: Addresses } | undefined;

/** The addresses under a secret, the same value each time in an isolate. See `createAddresses`. */
export function addresses(secret: string): Addresses {
  if (latest?.secret !== secret) latest = { secret, addresses: createAddresses({ secret }) };
  return latest.addresses;
}

/**
 * Makes addresses. A name is `v1:rate-limiter:` (`v1:circuit-breaker:`, `v1:idempotency:`) and the hex HMAC-SHA-256 of length-prefixed parts, so a client can
 * neither choose nor guess which object it meets, and its identity cannot be read from a name or a handle.
 *
 * Another secret means other names: every counter starts anew.
 *
 * @param options.secret `NAMING_SECRET`, at least 16 characters; shorter is an error.
 * @param options.capacity addresses remembered, 1,000 by default; the least recently used goes.
 */
export function createAddresses(options: { secret: string; capacity?: number }): Addresses {
  const { secret, capacity = 1_000 } = options;
  if (secret.length < MIN_SECRET_LENGTH) {
    throw new Error(
      `NAMING_SECRET must have at least ${MIN_SECRET_LENGTH} characters, got ${secret.length}; make one with openssl rand -hex 32`,
    );
  }
  const known = createLru<string, ObjectAddress>(capacity);
  const poolNames = createLru<string, string>(POOLS.length * OBJECTS_IN_POOL);
  /** Asked for every second. */
  let plane: string | undefined;
  let key: Awaited<ReturnType<typeof importKey>> | undefined;

  async function hmac(parts: readonly string[]): Promise<string> {
    // The key is kept, never the promise of it: a promise belongs to the request that made it, and another request
    // that awaits it hangs when that one is cancelled.
    key ??= await importKey(secret);
    return hex(await crypto.subtle.sign("HMAC", key, encode(parts)));
  }

  async function locate(handle: string): Promise<ObjectAddress> {
    if (handle.startsWith(OWN)) return { name: nameOf(await hmac(["own", handle])), client: handle };
    const pool = POOLS[LETTERS.indexOf(handle.charAt(0))];
    if (pool === undefined) throw new Error(`no pool for the handle ${handle}`);
    const shard = `${pool.continent}/${shardOf(handle)}`;
    const name = poolNames.get(shard) ?? nameOf(await hmac(["pool", shard]));
    poolNames.set(shard, name);
    return pool.hint === undefined ? { name, client: handle } : { name, client: handle, locationHint: pool.hint };
  }

  async function compute(first: string, parts: readonly string[], cacheKey: string): Promise<ObjectAddress> {
    const address = await locate(first + tagOf(await hmac(["client", ...parts])));
    if (cacheKey.length <= MAX_CACHED_KEY_LENGTH) known.set(cacheKey, address);
    return address;
  }

  return {
    addressClient({ parts, clients, continent }) {
      const first = clients === "own" ? OWN : letterOf(continent);
      let cacheKey = first;
      for (const part of parts) cacheKey += `${part.length}:${part}`;
      return known.get(cacheKey) ?? compute(first, parts, cacheKey);
    },
    async locateClient(handle) {
      return HANDLE.test(handle) ? locate(handle) : null;
    },
    async addressShard(handle, index) {
      return { name: nameOf(await hmac(["shard", handle, String(index)])) };
    },
    async probe() {
      return { name: nameOf(await hmac(["probe"])) };
    },
    async banIndex() {
      return { name: nameOf(await hmac(["ban-index"])) };
    },
    async breaker(url) {
      return { name: `v1:circuit-breaker:${await hmac(["breaker", url])}` };
    },
    async controlPlane() {
      plane ??= `v1:control-plane:${await hmac(["control-plane"])}`;
      return { name: plane };
    },
    async socketRegistry(shard) {
      return { name: `v1:socket-registry:${await hmac(["socket-registry", String(shard)])}` };
    },
    async sharedSocket(parts) {
      return { name: `v1:shared-socket:${await hmac(["shared-socket", ...parts])}` };
    },
    async heldSocket(parts) {
      return { name: `v1:held-socket:${await hmac(["held-socket", ...parts])}` };
    },
    async rollout(route) {
      return { name: `v1:rollout:${await hmac(["rollout", route])}` };
    },
    async upstreamQuota(quota) {
      return { name: `v1:upstream-quota:${await hmac(["upstream-quota", quota])}` };
    },
    async idempotency(parts) {
      return { name: `v1:idempotency:${await hmac(["idempotency", ...parts])}` };
    },
    async flight(cacheKey, hasFiles) {
      const digest = await hmac(["flight", cacheKey]);
      return { name: `v1:flight:${hasFiles ? digest.slice(0, 3) : digest}` };
    },
  };
}

function letterOf(continent: string | undefined): string {
  const index = POOLS.findIndex((pool) => pool.continent === continent);
  return LETTERS.charAt(Math.max(0, index));
}

function nameOf(digest: string): string {
  return `v1:rate-limiter:${digest}`;
}

/** The digest's number in base 62, its last 23 digits: 136.9 of its 256 bits. */
function tagOf(digest: string): string {
  let rest = BigInt(`0x${digest}`);
  let tag = "";
  while (tag.length < TAG_LENGTH) {
    tag += LETTERS.charAt(Number(rest % 62n));
    rest /= 62n;
  }
  return tag;
}

/** Which object of its pool a handle belongs to: its tag's number modulo 256. */
function shardOf(handle: string): number {
  let shard = 0;
  for (const letter of handle.slice(1)) shard = (shard * 62 + LETTERS.indexOf(letter)) % OBJECTS_IN_POOL;
  return shard;
}

/**
 * Every list of strings as bytes of its own: counts first, then UTF-16 code units as they are. UTF-8 would turn each
 * lone surrogate into U+FFFD and make one client of many.
 */
function encode(parts: readonly string[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + 4 + 2 * part.length, 4);
  const view = new DataView(new ArrayBuffer(length));
  view.setUint32(0, parts.length);
  let at = 4;
  for (const part of parts) {
    view.setUint32(at, part.length);
    at += 4;
    for (let index = 0; index < part.length; index += 1, at += 2) view.setUint16(at, part.charCodeAt(index));
  }
  return new Uint8Array(view.buffer);
}

function hex(bytes: ArrayBuffer): string {
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function importKey(secret: string) {
  const bytes = new TextEncoder().encode(secret);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}
