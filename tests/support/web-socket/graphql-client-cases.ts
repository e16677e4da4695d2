import { actor, asking, asks, does, once } from "./graphql-actor.ts";
import type { GraphqlCase } from "./graphql-script.ts";
import type { GraphqlStage } from "./graphql-stage.ts";

const ALL = "subscription { ticks }";
/** Connected at once, until it is told to leave. */
const EAGER = { lazy: false };
const HELLO = 'next {"data":{"hello":"world"}}';
const TICK = 'next {"data":{"ticks":1}}';
const ANSWERED = { client: ["connected", HELLO, "done"], server: ["subscribe 1", "complete 1"] };
const STOPPED = ["subscribe 1", "returned all", "complete 1"];

/** One tick of a subscription has come. */
async function inTheMiddle(stage: GraphqlStage): Promise<void> {
  await stage.server.has("subscribe");
  stage.tick(1);
  await stage.client.has("next");
}

/** What clients of graphql-ws ask, and when they come and go for it. */
export const CLIENT_CASES: readonly GraphqlCase[] = [
  does("connects when it asks, and leaves when it is answered", {}, once, ANSWERED),
  does(
    "connects at once, and stays until it is told to leave",
    EAGER,
    async (stage, client) => {
      await stage.client.has("connected");
      await once(stage, client);
      await once(stage, client);
      await client.dispose();
    },
    {
      client: ["connected", HELLO, "done", HELLO, "done"],
      server: ["subscribe 1", "complete 1", "subscribe 2", "complete 2"],
    },
  ),
  does(
    "asks for two things on one connection",
    {},
    async (stage, client) => {
      const { stop, ended } = asks(stage, client, ALL);
      await inTheMiddle(stage);
      await asks(stage, client, "{ hello }", "hello").ended;
      stop();
      await ended;
    },
    {
      client: ["connected", TICK, 'next hello {"data":{"hello":"world"}}', "done hello", "done"],
      server: ["subscribe 1", "subscribe 2", "complete 2", "returned all", "complete 1"],
    },
  ),
  does(
    "stays a little while in case there is more",
    { lazyCloseTimeout: 20 },
    async (stage, client) => {
      await once(stage, client);
      await once(stage, client);
    },
    {
      client: ["connected", HELLO, "done", HELLO, "done"],
      server: ["subscribe 1", "complete 1", "subscribe 2", "complete 2"],
    },
  ),
  {
    title: "a client asks again while its connection closes",
    run: async (stage) => {
      const client = actor(stage);
      await once(stage, client);
      await once(stage, client);
    },
    sees: {
      client: [1, 2].flatMap(() => ["connecting", "connected", HELLO, "done", "closed 1000 Normal Closure"]),
      server: [1, 2].flatMap((id) => [
        "connect",
        `subscribe ${id}`,
        `complete ${id}`,
        "disconnect 1000 Normal Closure",
        "closed 1000 Normal Closure",
      ]),
    },
  },
  does(
    "stops a subscription twice",
    {},
    async (stage, client) => {
      const { stop, ended } = asks(stage, client, ALL);
      await inTheMiddle(stage);
      stop();
      stop();
      await ended;
    },
    { client: ["connected", TICK, "done"], server: STOPPED },
  ),
  does("is told what is wrong with its query", {}, asking("{ bye }"), {
    client: [
      "connected",
      'fails [{"message":"Cannot query field \\"bye\\" on type \\"Query\\".","locations":[{"line":1,"column":3}]}]',
    ],
    server: ["subscribe 1"],
  }),
  does("is told what failed", {}, asking("{ fails }"), {
    ...ANSWERED,
    client: [
      "connected",
      'next {"data":{"fails":null},"errors":[{"message":"no luck","locations":[{"line":1,"column":3}],"path":["fails"]}]}',
      "done",
    ],
  }),
  does("loses its connection for a query that cannot be read", {}, asking("{ hello"), {
    client: ["connected"],
    server: ["subscribe 1"],
    end: "4500 Syntax Error: Expected Name, found <EOF>.",
    after: ["fails 4500 Syntax Error: Expected Name, found <EOF>."],
  }),
  does("subscribes until all is said", {}, asking("subscription { count(to: 2) }"), {
    ...ANSWERED,
    client: ["connected", 'next {"data":{"count":1}}', 'next {"data":{"count":2}}', "done"],
  }),
  does("subscribes to what breaks", {}, asking("subscription { breaks }"), {
    ...ANSWERED,
    client: ["connected", 'next {"data":{"breaks":1}}', 'fails [{"message":"broken"}]'],
  }),
  does(
    "leaves in the middle of a subscription",
    EAGER,
    async (stage, client) => {
      const { ended } = asks(stage, client, ALL);
      await inTheMiddle(stage);
      await client.dispose();
      await ended;
    },
    { client: ["connected", TICK], server: STOPPED, after: ["done"] },
  ),
  does(
    "lets go in the middle of a subscription",
    {},
    async (stage, client) => {
      const { ended } = asks(stage, client, ALL);
      await inTheMiddle(stage);
      client.terminate();
      await ended;
    },
    { client: ["connected", TICK], server: STOPPED, end: "4499 Terminated", after: ["fails 4499 Terminated"] },
  ),
  does(
    "goes through results to the end",
    {},
    async (stage, client) => {
      for await (const result of client.iterate({ query: "subscription { count(to: 2) }" }))
        stage.client.write("next", result);
    },
    {
      client: ["connected", 'next {"data":{"count":1}}', 'next {"data":{"count":2}}'],
      server: ["subscribe 1", "complete 1"],
    },
  ),
  does(
    "goes through results and has enough",
    {},
    async (stage, client) => {
      const results = client.iterate({ query: ALL });
      void stage.server.has("subscribe").then(() => stage.tick(1));
      for await (const result of results) {
        stage.client.write("next", result);
        break;
      }
    },
    { client: ["connected", TICK], server: STOPPED },
  ),
  does(
    "goes through results that break",
    {},
    async (stage, client) => {
      try {
        for await (const result of client.iterate({ query: "subscription { breaks }" }))
          stage.client.write("next", result);
      } catch (error) {
        stage.client.write("fails", error);
      }
    },
    {
      client: ["connected", 'next {"data":{"breaks":1}}', 'fails [{"message":"broken"}]'],
      server: ["subscribe 1", "complete 1"],
    },
  ),
  does(
    "asks 1,000 times in a row",
    EAGER,
    async (stage, client) => {
      for (let at = 0; at < 1_000; at += 1) await asking("subscription { count(to: 1) }")(stage, client);
      await client.dispose();
    },
    {
      isLong: "in turn",
      client: [
        "connected",
        '1000 times next {"data":{"count":#}}; 1 different, in turn',
        "1000 times done; 1 different, in turn",
      ],
      server: ["1000 times subscribe #; 1000 different, in turn", "1000 times complete #; 1000 different, in turn"],
    },
  ),
  {
    title: "a client asks 200 things at once",
    run: async (stage) => {
      const client = actor(stage);
      await Promise.all(
        Array.from({ length: 200 }, (_, at) => asks(stage, client, `{ hello(to: "${at}") }`, String(at)).ended),
      );
    },
    isLong: "in any order",
    sees: {
      client: [
        "200 times done #; 200 different",
        '200 times next # {"data":{"hello":"#"}}; 200 different',
        "closed 1000 Normal Closure",
        "connected",
        "connecting",
      ],
      server: [
        "200 times complete #; 200 different",
        "200 times subscribe #; 200 different",
        "closed 1000 Normal Closure",
        "connect",
        "disconnect 1000 Normal Closure",
      ],
    },
  },
  {
    title: "20 clients at once have a connection each",
    run: async (stage) => {
      await Promise.all(
        Array.from(
          { length: 20 },
          (_, at) => asks(stage, actor(stage, { url: stage.url, connectionParams: { who: `${at}` } }), "{ who }").ended,
        ),
      );
    },
    isLong: "in any order",
    sees: {
      client: [
        "20 times closed # Normal Closure; 1 different",
        "20 times connected; 1 different",
        "20 times connecting; 1 different",
        "20 times done; 1 different",
        '20 times next {"data":{"who":"#"}}; 20 different',
      ],
      server: [
        "20 times closed # Normal Closure; 1 different",
        "20 times complete #; 1 different",
        '20 times connect {"who":"#"}; 20 different',
        "20 times disconnect # Normal Closure; 1 different",
        "20 times subscribe #; 1 different",
      ],
    },
  },
  does("has the WebSocket of browsers", { webSocketImpl: globalThis.WebSocket }, once, ANSWERED),
];
