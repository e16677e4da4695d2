import { env } from "cloudflare:workers";
import type { FlowLimits } from "../../objects/web-socket-relay/flow.ts";
import type { HeldTerms } from "../../objects/web-socket-relay/held/held-terms.ts";
import type { SharedTerms } from "../../objects/web-socket-relay/mode-terms.ts";
import { OPENING, toField, type Opening } from "../../objects/web-socket-relay/opening.ts";
import { activeConfig } from "../../worker/config/active.ts";

const LIMITS: FlowLimits = {
  maxMessage: 1_000,
  messagesPerSecond: null,
  messageBurst: 0,
  bytesPerSecond: null,
  byteBurst: 0,
  maxBuffered: 1_000,
};

/** A bridge of session `one` on route `chat`, without any places. */
export const BRIDGE: Opening = {
  v: 1,
  mode: "bridge",
  session: "one",
  route: "chat",
  configVersion: 1,
  requestId: "r",
  client: { address: "192.0.2.1", forwardedFor: "192.0.2.1" },
  principal: null,
  validUntil: null,
  handshakeMs: 5_000,
  idleMs: 3_600_000,
  maxLifetimeMs: 3_600_000,
  closeMs: 500,
  fromClient: LIMITS,
  fromUpstream: LIMITS,
  places: [],
};

/** A session that its client can come back to. */
export const HELD: HeldTerms = {
  isStatus: false,
  owner: "somebody",
  recv: null,
  control: false,
  holdMs: 30_000,
  ring: { messages: 10, bytes: 1_000 },
  resumeOn1001: false,
  durable: false,
  reconnect: null,
};

/** A connection that is shared by those who come with the same credentials, and hear what is said. */
export const SHARED: SharedTerms = {
  isForAnyone: false,
  clientMessages: "drop",
  maxClients: 10,
  lingerMs: 0,
  window: null,
  overflow: "close",
  reconnect: false,
};

/** The handshake by which a Worker asks a relay for session `one` of route `chat`: a bridge, but for what is given. */
export function handshake(opening: Partial<Opening>): Request {
  const headers = { upgrade: "websocket", [OPENING]: toField({ ...BRIDGE, ...opening }) };
  return new Request("http://gateway.test/room", { headers });
}

/** Has this isolate serve route `chat`, with these WebSockets, to a target that nobody is at. */
export async function serveChat(webSocket: object): Promise<void> {
  const route = { id: "chat", prefix: "/", target: "http://127.0.0.1:9", webSocket };
  const config = JSON.stringify({ allowPrivateTargets: true, routes: [route] });
  await activeConfig({ ...env, SLUICE_CONFIG: config, SLUICE_CONFIG_VERSION: "1" }, { waitUntil: () => {} });
}
