import { MessageType, type Client } from "graphql-ws";
import { asking, does, once } from "./graphql-actor.ts";
import type { GraphqlCase } from "./graphql-script.ts";
import type { GraphqlStage } from "./graphql-stage.ts";

const LONG = "a reason that does not fit into a Close ".repeat(4).trim();
/** Connected at once, until it is told to leave. */
const EAGER = { lazy: false };
const HELLO = 'next {"data":{"hello":"world"}}';
const ANSWERED = { client: ["connected", HELLO, "done"], server: ["subscribe 1", "complete 1"] };
const IS = (who: string) => ({
  client: ["connected", `next {"data":{"who":"${who}"}}`, "done"],
  server: [`connect {"who":"${who}"}`, "subscribe 1", "complete 1"],
});
const never = () => new Promise<never>(() => undefined);
const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const fails = () => {
  throw new Error("no token");
};

/** The server says this to a client that is connected; then something comes of it, and the client leaves. */
const told =
  (text: string, comes: (stage: GraphqlStage) => Promise<void>) => async (stage: GraphqlStage, client: Client) => {
    await stage.client.has("connected");
    stage.socket().send(text);
    await comes(stage);
    await client.dispose();
  };

async function keptAlive(stage: GraphqlStage, client: Client): Promise<void> {
  await stage.client.has("hears pong");
  await client.dispose();
}

/** How connections of clients of graphql-ws begin, and what is said on them besides operations. */
export const GREETING_CASES: readonly GraphqlCase[] = [
  does("tells who it is", { connectionParams: { who: "Ada" } }, asking("{ who }"), IS("Ada")),
  does("tells who it is, from a function", { connectionParams: () => ({ who: "Bo" }) }, asking("{ who }"), IS("Bo")),
  does(
    "tells who it is, once it knows",
    { connectionParams: () => later(5).then(() => ({ who: "Cy" })) },
    asking("{ who }"),
    IS("Cy"),
  ),
  does("leaves when it does not know who it is", { connectionParams: fails }, once, {
    client: ["error no token", "fails no token"],
    end: "4005 no token",
  }),
  does(
    "leaves with a short reason when its own is long",
    { connectionParams: () => Promise.reject(new Error(LONG)) },
    once,
    { client: [`error ${LONG}`, `fails ${LONG}`], end: "4005 Internal client error" },
  ),
  does("is too late to tell who it is", { connectionParams: never }, once, {
    client: [],
    end: "4408 Connection initialisation timeout",
    after: ["fails 4408 Connection initialisation timeout"],
    options: { connectionInitWaitTimeout: 20 },
  }),
  does("leaves when the server does not let it begin", { connectionAckWaitTimeout: 20 }, once, {
    client: [],
    server: ["connect"],
    end: "4504 Connection acknowledgement timeout",
    after: ["fails 4504 Connection acknowledgement timeout"],
    options: { onConnect: never },
  }),
  does("may not begin", {}, once, {
    client: [],
    server: ["connect"],
    end: "4403 Forbidden",
    after: ["fails 4403 Forbidden"],
    options: { onConnect: () => false },
  }),
  does("is told more when it begins", {}, once, {
    ...ANSWERED,
    client: ['connected {"region":"eu"}', HELLO, "done"],
    options: { onConnect: () => ({ region: "eu" }) },
  }),
  does("numbers its operations itself", { generateID: ({ query }) => `of ${query.length}` }, once, {
    ...ANSWERED,
    server: ["subscribe of 9", "complete of 9"],
  }),
  does(
    "changes what it says",
    { jsonMessageReplacer: (_key, value) => (value === "{ hello }" ? "{ who: hello }" : value) },
    once,
    { ...ANSWERED, client: ["connected", 'next {"data":{"who":"world"}}', "done"] },
  ),
  does("changes what it hears", { jsonMessageReviver: (_key, value) => (value === "world" ? "all" : value) }, once, {
    ...ANSWERED,
    client: ["connected", 'next {"data":{"hello":"all"}}', "done"],
  }),
  {
    ...does("keeps its connection alive", { ...EAGER, keepAlive: 20 }, keptAlive, { client: [] }),
    // On a slow machine it pings before it is connected.
    isLong: "in any order",
    sees: {
      client: ["closed 1000 Normal Closure", "connected", "connecting", "hears pong", "says ping"],
      server: ["closed 1000 Normal Closure", "connect", "disconnect 1000 Normal Closure", "ping"],
    },
  },
  does(
    "answers a ping",
    EAGER,
    told('{"type":"ping","payload":{"at":1}}', ({ server }) => server.has("pong")),
    { client: ["connected", 'hears ping {"at":1}', 'says pong {"at":1}'], server: ['pong {"at":1}'] },
  ),
  does(
    "answers no ping when it is told so",
    { ...EAGER, disablePong: true },
    told('{"type":"ping"}', ({ client }) => client.has("hears ping")),
    { client: ["connected", "hears ping"] },
  ),
  does(
    "hears pong without having pinged",
    EAGER,
    told('{"type":"pong","payload":{}}', ({ client }) => client.has("hears pong")),
    { client: ["connected", "hears pong {}"] },
  ),
  does(
    "fails at the first message",
    {},
    (stage, client) => {
      client.on("message", fails);
      return once(stage, client);
    },
    {
      client: ["error no token", "fails no token"],
      server: ["connect", "disconnect 4004 no token"],
      end: "4004 no token",
    },
  ),
  does(
    "fails as it is connected",
    {},
    (stage, client) => {
      client.on("connected", fails);
      return once(stage, client);
    },
    { client: ["connected", "error no token", "fails no token"], end: "4004 no token" },
  ),
  does(
    "fails at a message in the middle",
    {},
    (stage, client) => {
      client.on("message", ({ type }) => {
        if (type === MessageType.Next) fails();
      });
      return once(stage, client);
    },
    {
      client: ["connected", HELLO, "error no token", "fails no token"],
      server: ["subscribe 1", "complete 1"],
      end: "4004 no token",
    },
  ),
];
