import { addresses } from "../../../objects/address.ts";
import {
  isSessionId,
  type OrderMessage,
  type OrderReply,
  type OrderRest,
  type SessionEntry,
} from "../../../objects/socket-registry/registry-messages.ts";
import { REGISTRY_SHARDS, shardOfSession } from "../../../objects/socket-registry/registry-shards.ts";
import type { SocketRegistry } from "../../../objects/socket-registry/socket-registry.ts";
import { isKeeper, relayAt, type RelayStub } from "../../../objects/web-socket-relay/relay-stub.ts";
import { createDependency, ONE_TRY } from "../../dependencies/dependency.ts";
import { GatewayError } from "../../errors.ts";
import { namingSecret } from "../../limits/client-address.ts";

const shards = createDependency({ kind: "SocketRegistry", remembers: REGISTRY_SHARDS });
const relays = createDependency({ kind: "WebSocketRelay", remembers: 256 });
const DEADLINE_MS = 2_000;
/** An order to hundreds of objects. */
const ORDER_MS = 10_000;

type Shard = DurableObjectStub<SocketRegistry>;

/**
 * Asks every shard of the registry. A list with a part missing, or an order given to some, would be worse than none.
 *
 * @throws GatewayError `dependency-unavailable` when one does not answer in time.
 */
export async function askShards<Reply>(
  env: Env,
  question: (shard: Shard) => Promise<Reply>,
): Promise<readonly Reply[]> {
  const all = Array.from({ length: REGISTRY_SHARDS }, (_, index) => askShard(env, index, question, DEADLINE_MS));
  return Promise.all(all);
}

/** Gives an order to every shard, part by part until all of it has been carried out. @throws GatewayError as `askShards` does. */
export async function orderShards(env: Env, message: OrderMessage): Promise<readonly OrderReply[]> {
  const all = Array.from({ length: REGISTRY_SHARDS }, async (_, index) => {
    const replies: OrderReply[] = [];
    for (let rest: OrderRest | null | undefined; rest !== null; rest = replies.at(-1)?.next ?? null) {
      const part = rest === undefined ? message : { ...message, rest };
      replies.push(await askShard(env, index, (shard) => shard.order(part), ORDER_MS));
    }
    return replies;
  });
  return (await Promise.all(all)).flat();
}

/** The session with this id, and the object that holds it. @throws GatewayError `not-found`, `dependency-unavailable`. */
export async function findSession(
  env: Env,
  id: string,
): Promise<{
  readonly ask: <Reply>(question: (relay: RelayStub) => Promise<Reply>) => Promise<Reply>;
}> {
  const object = await objectOf(env, id);
  return {
    ask: (question) =>
      answered(
        relays.call(object, () => question(relayAt(env, object)), { deadlineMs: DEADLINE_MS }),
        "The relay of this session",
      ),
  };
}

async function objectOf(env: Env, id: string): Promise<string> {
  if (!isSessionId(id)) throw noSession(id);
  // A session that sleeps has the name of its object, which remembers it whatever the registry does.
  if (isKeeper(env, id)) return id;
  const entry = await askShard<SessionEntry | null>(env, shardOfSession(id), (shard) => shard.find(id), DEADLINE_MS);
  if (entry === null) throw noSession(id);
  return entry.object;
}

/** Nobody has a session of this name. */
export function noSession(id: string): GatewayError {
  const detail = `There is no session ${JSON.stringify(id.slice(0, 80))}, or not any more; GET /admin/sockets lists them.`;
  return new GatewayError("not-found", { detail });
}

async function askShard<Reply>(
  env: Env,
  index: number,
  question: (shard: Shard) => Promise<Reply>,
  deadlineMs: number,
): Promise<Reply> {
  const { name } = await addresses(namingSecret(env)).socketRegistry(index);
  const stub = env.SOCKET_REGISTRY.get(env.SOCKET_REGISTRY.idFromName(name), ONE_TRY);
  return answered(
    shards.call(name, () => question(stub), { deadlineMs }),
    "The registry of sessions",
  );
}

async function answered<Reply>(call: Promise<Reply>, who: string): Promise<Reply> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof TypeError) throw error;
    const detail = `${who} did not answer.`;
    throw new GatewayError("dependency-unavailable", { detail, headers: { "retry-after": "1" }, cause: error });
  }
}
