import { addresses } from "../../../objects/address.ts";
import type { EpochsReply } from "../../../objects/control-plane/purge-messages.ts";
import { NO_PURGES, type PurgeEpochs } from "../../../objects/control-plane/purge.ts";
import { ONE_TRY } from "../../../objects/one-try.ts";
import { createDependency } from "../../dependencies/dependency.ts";
import type { Exchange } from "../../exchange.ts";
import { namingSecret } from "../../limits/client-address.ts";
import { within } from "../../within.ts";
import { giveBack, takeTally } from "./tally.ts";

/** A purge has to reach every isolate within 2 s: what is known counts for so long from when it was asked for. */
const LEASE_MS = 2_000;
/** After so long it is asked for anew, behind the answers: early enough for an object on another continent, late enough for a thousand isolates. */
const RENEW_MS = 1_400;
/** On the path of a request whose isolate has been idle. */
const WAIT_MS = 150;
/** It may be on another continent, and asleep. */
const ASK_MS = 2_000;
/** What is older says too little: an isolate that was idle for an hour would give what was purged long ago. */
const MOST_MS = 60_000;

interface Lease {
  readonly version: number;
  readonly epochs: PurgeEpochs;
  /** Milliseconds since the epoch. */
  readonly askedAt: number;
}

const planes = createDependency({ kind: "ControlPlane", remembers: 1 });

let lease: Lease | undefined;
let renewedAt = 0;

/**
 * The purges that an answer has to respect. Known by heart while requests come; after a pause of more than 2 s asked for, within 150 ms.
 *
 * Where nobody answers what was known last counts on for a minute, which `degraded` says in the log: without its cache, an origin would
 * get all that it has been spared. Undefined: this isolate knows none, or none that new, so that nothing that is kept may be given
 * without asking the origin.
 */
export function currentEpochs(exchange: Exchange): PurgeEpochs | Promise<PurgeEpochs | undefined> {
  const now = Date.now();
  const age = lease === undefined ? Infinity : now - lease.askedAt;
  if (lease === undefined || age >= LEASE_MS || age < 0) return afterAsking(exchange, age);
  if (age >= RENEW_MS && now - renewedAt >= RENEW_MS) {
    renewedAt = now;
    exchange.ctx.waitUntil(ask(exchange.env).catch(() => {}));
  }
  return lease.epochs;
}

async function afterAsking(exchange: Exchange, age: number): Promise<PurgeEpochs | undefined> {
  const asking = ask(exchange.env);
  // An answer that is too late for this request is there for the next.
  exchange.ctx.waitUntil(asking.catch(() => {}));
  try {
    return await within(asking, WAIT_MS, () => new Error("ControlPlane is slow"));
  } catch {
    (exchange.notes.degraded ??= []).push("cache-purges");
    return age < MOST_MS ? lease?.epochs : undefined;
  }
}

async function ask(env: Env): Promise<PurgeEpochs> {
  const askedAt = Date.now();
  const known = lease;
  const tally = takeTally();
  const { name } = await addresses(namingSecret(env)).controlPlane();
  const call = async (): Promise<EpochsReply> => {
    const plane = env.CONTROL_PLANE.get(env.CONTROL_PLANE.idFromName(name), ONE_TRY);
    return plane.epochs({ v: 1, version: known?.version ?? 0, tally });
  };
  const { version, epochs } = await planes.call(name, call, { deadlineMs: ASK_MS }).catch((error: unknown) => {
    giveBack(tally);
    throw error;
  });
  const told = epochs ?? known?.epochs ?? NO_PURGES;
  // Of two answers the one that was asked for later knows more.
  if (lease === undefined || askedAt >= lease.askedAt) lease = { version, epochs: told, askedAt };
  return lease.epochs;
}
