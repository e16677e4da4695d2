import type { WebSocket } from "ws";
import { ask, begun, INIT, leave, PROTOCOL, seen, steps, unbegun, type GraphqlCase } from "./graphql-script.ts";
import type { GraphqlStage } from "./graphql-stage.ts";

const PING = { type: "ping" };
const LONG = "a reason that does not fit into a Close ".repeat(4);

const never = () => new Promise<never>(() => undefined);
const throws = (message: string) => () => {
  throw new Error(message);
};
const tellChosen = (stage: GraphqlStage, { protocol }: WebSocket) => stage.client.write("chosen", protocol);

/** What is no message of the protocol. */
const BAD: readonly (readonly [what: string, said: string | Uint8Array | object])[] = [
  ["what is no JSON", "hello"],
  ["a message that is empty", ""],
  ["binary that is no text", new Uint8Array([0, 255, 254])],
  ["an array", []],
  ["null", "null"],
  ["a message without a type", {}],
  ["a type that is no text", { type: 5 }],
  ["a type that there is not", { type: "start", id: "1" }],
  ["a payload that is a text", { ...PING, payload: "now" }],
  ["a subscription without an id", { type: "subscribe", payload: { query: "{ hello }" } }],
  ["a subscription with an empty id", ask("", "{ hello }")],
  ["a subscription without a payload", { type: "subscribe", id: "1" }],
  ["a query that is a number", { type: "subscribe", id: "1", payload: { query: 5 } }],
  ["variables that are a text", ask("1", "{ hello }", { variables: "to" })],
  ["an operation's name that is a number", ask("1", "{ hello }", { operationName: 5 })],
  ["extensions that are a text", ask("1", "{ hello }", { extensions: "none" })],
  ["a complete without an id", { type: "complete" }],
  ["an error that is none", { type: "error", id: "1", payload: "no" }],
];

/** How connections begin and end. */
export const CONNECTION_CASES: readonly GraphqlCase[] = [
  begun("begins", [], [], []),
  unbegun(
    "begins with a payload",
    [{ ...INIT, payload: { who: "Zoë 👩‍🚀", deep: [{ a: null }] } }, 1],
    ["connection_ack"],
    ['connect {"who":"Zoë 👩‍🚀","deep":[{"a":null}]}', "disconnect 1000 bye"],
  ),
  unbegun(
    "is told more when it begins",
    [INIT, 1],
    ['connection_ack {"limit":5,"ключ":"✓"}'],
    ["connect", "disconnect 1000 bye"],
    { options: { onConnect: () => ({ limit: 5, ключ: "✓" }) } },
  ),
  unbegun(
    "begins in binary",
    [Buffer.from(JSON.stringify(INIT)), 1],
    ["connection_ack"],
    ["connect", "disconnect 1000 bye"],
  ),
  unbegun("is closed when it may not begin", [INIT], [], ["connect"], {
    end: "4403 Forbidden",
    options: { onConnect: () => false },
  }),
  unbegun("is closed when it does not begin", [], [], [], {
    end: "4408 Connection initialisation timeout",
    options: { connectionInitWaitTimeout: 20 },
  }),
  begun("is closed when it begins twice", [INIT], [], [], { end: "4429 Too many initialisation requests" }),
  unbegun("is closed when it begins twice at once", [INIT, seen("connect"), INIT], [], ["connect"], {
    end: "4429 Too many initialisation requests",
    options: { onConnect: never },
  }),
  unbegun("is closed when the server fails", [INIT], [], ["connect"], {
    end: "4500 no database",
    options: { onConnect: throws("no database") },
  }),
  unbegun("is closed with a short reason when the server's is long", [INIT], [], ["connect"], {
    end: "4500 Internal server error",
    options: { onConnect: throws(LONG) },
  }),
  unbegun("is closed when it asks before it begins", [ask("1", "{ hello }")], [], [], { end: "4401 Unauthorized" }),
  unbegun("is closed when it asks before it may", [INIT, seen("connect"), ask("1", "{ hello }")], [], ["connect"], {
    end: "4401 Unauthorized",
    options: { onConnect: never },
  }),
  ...BAD.map(([what, said]) =>
    begun(`is closed for ${what}`, [said], [], [], { end: "4400 Invalid message received" }),
  ),
  ...[
    { type: "next", id: "1", payload: {} },
    { type: "error", id: "1", payload: [{ message: "no" }] },
    { type: "connection_ack" },
  ].map((said) =>
    begun(`is closed for what only servers say: ${said.type}`, [said], [], [], {
      end: `4500 Unexpected message of type ${said.type} received`,
    }),
  ),
  begun("pings", [PING, 1], ["pong"], ["ping"]),
  begun(
    "pings with a payload",
    [{ ...PING, payload: { at: 1, text: "é\u2028" } }, 1],
    ['pong {"at":1,"text":"é\u2028"}'],
    ['ping {"at":1,"text":"é\u2028"}'],
  ),
  unbegun("pings before it begins", [PING, 1], ["pong"], ["ping"]),
  begun(
    "says pong without a ping",
    [{ type: "pong", payload: { by: "itself" } }, seen("pong")],
    [],
    ['pong {"by":"itself"}'],
  ),
  begun(
    "is pinged and answers",
    [
      (stage: GraphqlStage) => stage.socket().send('{"type":"ping","payload":{"at":2}}'),
      1,
      { type: "pong", payload: { at: 2 } },
      seen("pong"),
    ],
    ['ping {"at":2}'],
    ['pong {"at":2}'],
  ),
  begun(
    "pings a hundred times",
    [...Array.from({ length: 100 }, () => PING), 100],
    ["100 times pong; 1 different, in turn"],
    ["100 times ping; 1 different, in turn"],
    { isLong: "in turn" },
  ),
  unbegun("chooses the subprotocol among others", [tellChosen], [`chosen ${PROTOCOL}`], [], {
    protocols: ["chat", PROTOCOL, "graphql-ws"],
  }),
  unbegun("is closed without a subprotocol", [tellChosen], ["chosen"], [], {
    protocols: [],
    end: "4406 Subprotocol not acceptable",
  }),
  // graphql-ws closes with 4406 as well, which such a client may or may not have answered before it is gone.
  unbegun("goes when its subprotocol is not chosen", [], ["error Server sent no subprotocol"], [], {
    protocols: ["chat"],
    end: "1006",
    impostor: () => undefined,
    cut: "client",
  }),
  unbegun("leaves before it begins", [], [], []),
  begun("leaves without a code", [leave()], [], [], { end: "1005" }),
  begun("leaves with a code of its own", [leave(4321, "tschüß 🚪")], [], [], { end: "4321 tschüß 🚪" }),
  begun("leaves with the longest reason", [leave(3000, "z".repeat(123))], [], [], { end: `3000 ${"z".repeat(123)}` }),
  begun("is cut off", [(_stage: GraphqlStage, socket: WebSocket) => socket.terminate()], [], [], {
    end: "1006",
    cut: "client",
  }),
  begun("loses a server that is cut off", [(stage: GraphqlStage) => stage.socket().terminate()], [], [], {
    end: "1006",
    cut: "server",
  }),
  begun("loses a server that says goodbye", [(stage: GraphqlStage) => stage.restart()], [], [], {
    end: "1001 Going away",
  }),
  begun("loses a server that says no code", [(stage: GraphqlStage) => stage.socket().close()], [], [], { end: "1005" }),
  begun(
    "loses a server that fails",
    [(stage: GraphqlStage) => stage.sockets.emit("error", new Error("out of memory"))],
    [],
    [],
    { end: "4500 out of memory" },
  ),
  {
    title: "is refused",
    run: steps([]),
    refusal: 401,
    sees: { client: ["error Unexpected server response: 401", "closed 1006"], server: [] },
  },
];
