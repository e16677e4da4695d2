import type { Client, ClientOptions } from "graphql-ws";
import { actor, asks, does, type Scene } from "./graphql-actor.ts";
import type { GraphqlCase, More } from "./graphql-script.ts";
import type { GraphqlStage, Impostor } from "./graphql-stage.ts";

const TICKS = "subscription { ticks }";
const TICK = 'next {"data":{"ticks":1}}';
const STOPPED = ["subscribe 1", "returned all", "complete 1"];
const ALWAYS = { retryAttempts: 5, shouldRetry: () => true };
const NO_JSON = `Unexpected token 'h', "hello" is not valid JSON`;
const ACK = '{"type":"connection_ack"}';
const REFUSED = ["error Unexpected server response: 503", "closed 1006"];
const isInit = (message: Readonly<Record<string, unknown>>) => message["type"] === "connection_init";
const closes = (code?: number, reason?: string) => (stage: GraphqlStage) => stage.socket().close(code, reason);

/** A client that is in the middle of a subscription when this happens; it stops in the end. */
const subscribed =
  (act: (stage: GraphqlStage, client: Client, ended: Promise<unknown>) => unknown) =>
  async (stage: GraphqlStage, client: Client) => {
    const { stop, ended } = asks(stage, client, TICKS);
    await stage.server.has("subscribe");
    await act(stage, client, ended);
    stop();
    await ended;
  };
/** What a server sees of a connection that ends like this. */
const left = (end: string) => ["connect", ...STOPPED, `disconnect ${end}`, `closed ${end}`];
/** It comes back to a server that left like this, and its subscription goes on. */
function comesBack(
  title: string,
  end: string,
  act: (stage: GraphqlStage, client: Client) => unknown,
  more: More = {},
): GraphqlCase {
  const again = end.startsWith("1000") ? "" : " again";
  const { run } = does(
    "",
    ALWAYS,
    subscribed(async (stage, client) => {
      await act(stage, client);
      await stage.server.has("subscribe", 2);
      stage.tick(1);
      await stage.client.has("next");
    }),
    { client: [] },
  );
  return {
    title: `a client comes back after ${title}`,
    run,
    sees: {
      client: [
        "connecting",
        "connected",
        `closed ${end}`,
        `connecting${again}`,
        `connected${again}`,
        TICK,
        "done",
        "closed 1000 Normal Closure",
      ],
      server: [...left(end), ...left("1000 Normal Closure")],
    },
    ...more,
  };
}
/** It fails, with these options. */
const staysAway = (title: string, options: Partial<ClientOptions>, code: number) =>
  does(
    `does not come back ${title}`,
    options,
    subscribed((stage, _client, ended) => {
      stage.socket().close(code, "for good");
      return ended;
    }),
    { client: ["connected"], server: STOPPED, end: `${code} for good`, after: [`fails ${code} for good`] },
  );

/** A client of a server that is none. */
const against = (title: string, impostor: Impostor, scene: Scene): GraphqlCase => ({
  ...does(`of a server that ${title}`, {}, (stage, client) => asks(stage, client, "{ hello }").ended, scene),
  impostor,
  sees: {
    client: ["connecting", ...scene.client, `closed ${scene.end ?? "1000 Normal Closure"}`, ...(scene.after ?? [])],
    server: [
      "connection_init",
      ...(scene.client[0] === "connected" ? ['subscribe 1 {"query":"{ hello }"}'] : []),
      `closed ${scene.end ?? "1000 Normal Closure"}`,
    ],
  },
});
/** One that begins well and then says this to what it is asked. */
const answering = (title: string, answers: readonly string[], scene: Scene) =>
  against(
    title,
    (message, socket) => {
      for (const answer of isInit(message) ? [ACK] : answers) socket.send(answer);
    },
    scene,
  );
/** What a client finds wrong is what it fails with, and what it closes with. */
const wrong = (text: string, isConnected: boolean): Scene => ({
  client: [...(isConnected ? ["connected"] : []), `error ${text}`, `fails ${text}`],
  end: `4004 ${text}`,
});

/** What clients of graphql-ws do when their servers are lost, or are none. */
export const RETRY_CASES: readonly GraphqlCase[] = [
  comesBack("a connection that is lost", "1006", (stage) => stage.socket().terminate(), { cut: "server" }),
  comesBack("an empty Close", "1005", closes()),
  ...[1000, 1001, 1012, 1013, 3000, 4000, 4403, 4408, 4499, 4504, 4999].map((code) =>
    comesBack(String(code), `${code} for now`, closes(code, "for now")),
  ),
  comesBack("a restart of its server", "1001 Going away", (stage) => stage.restart()),
  comesBack("it has let go", "4499 Terminated", (_stage, client) => client.terminate()),
  ...[1002, 1003, 1007, 1008, 1009, 1010, 1011, 4004, 4005, 4400, 4401, 4406, 4409, 4429, 4500].map((code) =>
    staysAway(`after ${code}`, ALWAYS, code),
  ),
  staysAway("when it may not", { ...ALWAYS, retryAttempts: 0 }, 4444),
  staysAway("when it does not want to", { ...ALWAYS, shouldRetry: () => false }, 4444),
  does(
    "does not come back when nobody asks any more",
    { ...ALWAYS, retryWait: () => new Promise((resolve) => setTimeout(resolve, 20)) },
    subscribed((stage) => {
      stage.socket().close(4444);
      return stage.client.has("closed");
    }),
    { client: ["connected"], server: STOPPED, end: "4444", after: ["done"] },
  ),
  does(
    "comes back twice and then no more",
    { ...ALWAYS, retryAttempts: 2 },
    subscribed((stage, _client, ended) => {
      stage.refuse(503);
      stage.socket().close(4444);
      return ended;
    }),
    {
      client: ["connected"],
      server: STOPPED,
      end: "4444",
      after: ["connecting again", ...REFUSED, "connecting again", ...REFUSED, "fails Unexpected server response: 503"],
    },
  ),
  {
    title: "a client is refused again and again",
    refusal: 503,
    run: async (stage) => {
      await asks(stage, actor(stage, { ...ALWAYS, retryAttempts: 2 }), "{ hello }").ended;
    },
    sees: {
      client: [
        "connecting",
        ...REFUSED,
        "connecting again",
        ...REFUSED,
        "connecting again",
        ...REFUSED,
        "fails Unexpected server response: 503",
      ],
      server: [],
    },
  },
  {
    title: "a client comes back with all 50 subscriptions",
    run: async (stage) => {
      const client = actor(stage, ALWAYS);
      const all = Array.from({ length: 50 }, (_, at) =>
        asks(stage, client, `subscription { ticks(of: "${at}") }`, String(at)),
      );
      await stage.server.has("subscribe", 50);
      stage.socket().close(1012);
      await stage.server.has("subscribe", 100);
      for (const at of all.keys()) stage.tick(at, String(at));
      await stage.client.has("next", 50);
      await client.dispose();
      await Promise.all(all.map(({ ended }) => ended));
    },
    isLong: "in any order",
    sees: {
      client: [
        "50 times done #; 50 different",
        '50 times next # {"data":{"ticks":#}}; 50 different',
        "closed 1000 Normal Closure",
        "closed 1012",
        "connected",
        "connected again",
        "connecting",
        "connecting again",
      ],
      server: [
        "100 times complete #; 50 different",
        "100 times returned #; 50 different",
        "100 times subscribe #; 50 different",
        "2 times connect; 1 different",
        "closed 1000 Normal Closure",
        "closed 1012",
        "disconnect 1000 Normal Closure",
        "disconnect 1012",
      ],
    },
  },
  {
    title: "a client that is connected all the time comes back",
    run: async (stage) => {
      const client = actor(stage, { ...ALWAYS, lazy: false });
      await stage.client.has("connected");
      stage.socket().close(4321);
      await stage.client.has("connected", 2);
      await client.dispose();
    },
    sees: {
      client: [
        "connecting",
        "connected",
        "closed 4321",
        "connecting again",
        "connected again",
        "closed 1000 Normal Closure",
      ],
      server: ["4321", "1000 Normal Closure"].flatMap((end) => ["connect", `disconnect ${end}`, `closed ${end}`]),
    },
  },
  does(
    "that is connected all the time loses its server",
    { lazy: false },
    async (stage) => {
      await stage.client.has("connected");
      stage.socket().close(4321, "bye");
      await stage.client.has("lost");
    },
    { client: ["connected"], end: "4321 bye", after: ["lost 4321 bye"] },
  ),
  against(
    "begins with a result",
    (_message, socket) => socket.send('{"type":"next","id":"1","payload":{}}'),
    wrong("First message cannot be of type next", false),
  ),
  against("begins with what is no message", (_message, socket) => socket.send("hello"), wrong(NO_JSON, false)),
  against(
    "begins in binary",
    (_message, socket) => socket.send(Buffer.from(ACK)),
    wrong("Message is missing the 'type' property", false),
  ),
  against("closes at once", (_message, socket) => socket.close(4321, "busy"), {
    client: [],
    end: "4321 busy",
    after: ["fails 4321 busy"],
  }),
  answering("says what is no message", ["hello"], wrong(NO_JSON, true)),
  answering(
    "says an error that is none",
    ['{"type":"error","id":"1","payload":"no"}'],
    wrong(`"error" message expects the 'payload' property to be an array of GraphQL errors, but got "no"`, true),
  ),
  answering(
    "says a result without an id",
    ['{"type":"next","payload":{}}'],
    wrong(`"next" message expects the 'id' property to be a string, but got undefined`, true),
  ),
  answering("says an error", ['{"type":"error","id":"1","payload":[{"message":"no"}]}'], {
    client: ["connected", 'fails [{"message":"no"}]'],
  }),
  answering("is done at once", ['{"type":"complete","id":"1"}'], { client: ["connected", "done"] }),
  answering("begins twice", [ACK, '{"type":"complete","id":"1"}'], { client: ["connected", "done"] }),
  answering(
    "answers something else first",
    [
      '{"type":"next","id":"9","payload":{"data":9}}',
      '{"type":"complete","id":"9"}',
      '{"type":"next","id":"1","payload":{"data":1}}',
      '{"type":"complete","id":"1"}',
    ],
    { client: ["connected", 'next {"data":1}', "done"] },
  ),
];
