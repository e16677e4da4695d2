import type { WebSocket } from "ws";
import { ask, begun, leave, seen, unbegun, type GraphqlCase } from "./graphql-script.ts";
import type { GraphqlStage } from "./graphql-stage.ts";

const PING = { type: "ping" };
const ALL = "subscription { ticks }";
const never = () => new Promise<never>(() => undefined);
const complete = (id: string) => ({ type: "complete", id });
const ticks = (of: string) => `subscription { ticks(of: "${of}") }`;
const tick = (value: number, of?: string) => (stage: GraphqlStage) => stage.tick(value, of);
const answer = (text: string) => (stage: GraphqlStage) => stage.answer(text);
const many = <T>(count: number, one: (at: number) => T) => Array.from({ length: count }, (_, at) => one(at));
const HELLO = 'next 1 {"data":{"hello":"world"}}';
const TICK = 'next 1 {"data":{"ticks":1}}';
const EVERY_KIND = 'é ß 漢字 👩‍🚀 \u2028 " \\ \u0000 \uFEFF \uD800';

/** An operation that comes to its end by itself: with a complete, unless it was wrong from the start. */
function asked(title: string, query: string, results: readonly string[], more: object = {}): GraphqlCase {
  const isWrong = results[0]?.startsWith("error") === true;
  const hears = isWrong || results.at(-1)?.startsWith("error") === true ? results : [...results, "complete 1"];
  const server = isWrong ? ["subscribe 1"] : ["subscribe 1", "complete 1"];
  return begun(title, [ask("1", query, more), hears.length], hears, server);
}

/** What is asked on connections. */
export const OPERATION_CASES: readonly GraphqlCase[] = [
  asked("queries", "{ hello }", [HELLO]),
  asked("queries with variables", "query ($to: String) { hello(to: $to) }", ['next 1 {"data":{"hello":"all"}}'], {
    variables: { to: "all" },
  }),
  asked(
    "queries one operation of two",
    "query a { hello } query b { again: hello }",
    ['next 1 {"data":{"again":"world"}}'],
    { operationName: "b" },
  ),
  asked(
    "queries an operation that there is not",
    "query a { hello }",
    ['error 1 [{"message":"Unable to identify operation"}]'],
    { operationName: "b" },
  ),
  asked("queries with null for what may be left out", "{ hello }", [HELLO], {
    operationName: null,
    variables: null,
    extensions: null,
  }),
  asked("queries with extensions", "{ hello }", [HELLO], { extensions: { trace: ["a", { b: 1 }] } }),
  asked(
    "queries text of every kind",
    "query ($text: String) { echo(text: $text) }",
    [`next 1 ${JSON.stringify({ data: { echo: EVERY_KIND } })}`],
    { variables: { text: EVERY_KIND } },
  ),
  asked("queries nothing", "query ($text: String) { echo(text: $text) }", ['next 1 {"data":{"echo":""}}'], {
    variables: { text: "" },
  }),
  asked("queries 64 KiB", "{ letters(count: 65536) }", ['next 1 {"data":{"letters":"x*65536"}}']),
  asked("queries 5 MiB", "{ letters(count: 5242880) }", ['next 1 {"data":{"letters":"x*5242880"}}']),
  asked("queries with 5 MiB", "query ($text: String) { echo(text: $text) }", ['next 1 {"data":{"echo":"y*5242880"}}'], {
    variables: { text: "y".repeat(5 * 2 ** 20) },
  }),
  asked("queries a field that there is not", "{ bye }", [
    'error 1 [{"message":"Cannot query field \\"bye\\" on type \\"Query\\".","locations":[{"line":1,"column":3}]}]',
  ]),
  asked("queries a field that fails", "{ hello, fails }", [
    'next 1 {"data":{"hello":"world","fails":null},"errors":[{"message":"no luck","locations":[{"line":1,"column":10}],"path":["fails"]}]}',
  ]),
  asked("queries a field that may not be null", "{ missing }", [
    'next 1 {"data":null,"errors":[{"message":"Cannot return null for non-nullable field Query.missing.","locations":[{"line":1,"column":3}],"path":["missing"]}]}',
  ]),
  asked("introspects", "{ __schema { queryType { name } } }", [
    'next 1 {"data":{"__schema":{"queryType":{"name":"Query"}}}}',
  ]),
  asked(
    "subscribes",
    "subscription { count(to: 3) }",
    many(3, (at) => `next 1 {"data":{"count":${at + 1}}}`),
  ),
  asked("subscribes to nothing", "subscription { count(to: 0) }", []),
  asked("subscribes to what breaks", "subscription { breaks }", [
    'next 1 {"data":{"breaks":1}}',
    'error 1 [{"message":"broken"}]',
  ]),
  asked("subscribes to what refuses", "subscription { refused }", [
    'next 1 {"errors":[{"message":"refused","locations":[{"line":1,"column":16}],"path":["refused"]}]}',
  ]),
  asked("subscribes to a field that there is not", "subscription { bye }", [
    'error 1 [{"message":"Cannot query field \\"bye\\" on type \\"Subscription\\".","locations":[{"line":1,"column":16}]}]',
  ]),
  begun(
    "subscribes to 1,000 results",
    [ask("1", "subscription { count(to: 1000) }"), 1_001],
    ['1000 times next # {"data":{"count":#}}; 1000 different, in turn', "complete 1"],
    ["subscribe 1", "complete 1"],
    { isLong: "in turn" },
  ),
  begun("is closed for a query that cannot be read", [ask("1", "{ hello")], [], ["subscribe 1"], {
    end: "4500 Syntax Error: Expected Name, found <EOF>.",
  }),
  unbegun(
    "asks who it is",
    [{ type: "connection_init", payload: { who: "Ada" } }, 1, ask("1", "{ who }"), 2],
    ["connection_ack", 'next 1 {"data":{"who":"Ada"}}', "complete 1"],
    ['connect {"who":"Ada"}', "subscribe 1", "complete 1", "disconnect 1000 bye"],
  ),
  begun(
    "mutates in turn",
    [ask("1", "mutation { add(by: 2) }"), 2, ask("2", "mutation { first: add(by: 3), second: add(by: 5) }"), 2],
    ['next 1 {"data":{"add":2}}', "complete 1", 'next 2 {"data":{"first":5,"second":10}}', "complete 2"],
    ["subscribe 1", "complete 1", "subscribe 2", "complete 2"],
  ),
  begun(
    "uses an id again",
    [ask("1", "{ hello }"), 2, ask("1", "{ hello }"), 2],
    [HELLO, "complete 1", HELLO, "complete 1"],
    ["subscribe 1", "complete 1", "subscribe 1", "complete 1"],
  ),
  begun(
    "has an id of every kind",
    [ask(EVERY_KIND, "{ hello }"), 2],
    [`next ${EVERY_KIND} {"data":{"hello":"world"}}`, `complete ${EVERY_KIND}`],
    [`subscribe ${EVERY_KIND}`, `complete ${EVERY_KIND}`],
  ),
  begun(
    "is closed for an id in use",
    [ask("1", ALL), tick(1), 1, ask("1", "{ hello }")],
    [TICK],
    ["subscribe 1", "returned all", "complete 1"],
    { end: "4409 Subscriber for 1 already exists" },
  ),
  begun(
    "is closed for an id of what is being prepared",
    [ask("1", "{ hello }"), seen("subscribe"), ask("1", "{ hello }")],
    [],
    ["subscribe 1"],
    { end: "4409 Subscriber for 1 already exists", options: { onSubscribe: never } },
  ),
  begun(
    "stops a subscription",
    [ask("1", ALL), tick(1), 1, complete("1"), seen("complete 1"), tick(2), PING, 1],
    [TICK, "pong"],
    ["subscribe 1", "returned all", "complete 1", "ping"],
  ),
  begun(
    "stops a subscription that has said nothing",
    [ask("1", ALL), seen("subscribe"), complete("1"), seen("complete 1")],
    [],
    ["subscribe 1", "returned all", "complete 1"],
  ),
  begun(
    "stops a query before it is answered",
    [ask("1", "{ slow }"), seen("slow"), complete("1"), PING, 1, answer("late"), seen("complete 1")],
    ["pong"],
    ["subscribe 1", "slow", "ping", "complete 1"],
  ),
  begun("stops what there is not", [complete("9"), PING, 1], ["pong"], ["ping"]),
  begun(
    "stops twice",
    [ask("1", ALL), tick(1), 1, complete("1"), complete("1"), seen("complete 1"), PING, 1],
    [TICK, "pong"],
    ["subscribe 1", "returned all", "complete 1", "ping"],
  ),
  begun(
    "stops one of two",
    [
      ask("1", ticks("a")),
      ask("2", ticks("b")),
      seen("subscribe", 2),
      tick(1, "a"),
      1,
      complete("1"),
      seen("complete 1"),
      tick(2, "b"),
      1,
    ],
    [TICK, 'next 2 {"data":{"ticks":2}}'],
    ["subscribe 1", "subscribe 2", "returned a", "complete 1", "returned b", "complete 2"],
  ),
  begun(
    "queries beside a subscription",
    [ask("1", ALL), seen("subscribe"), ask("2", "{ hello }"), 2, tick(1), 1],
    ['next 2 {"data":{"hello":"world"}}', "complete 2", TICK],
    ["subscribe 1", "subscribe 2", "complete 2", "returned all", "complete 1"],
  ),
  begun(
    "queries beside a slow query",
    [ask("1", "{ slow }"), seen("slow"), ask("2", "{ hello }"), 2, answer("at last"), 2],
    ['next 2 {"data":{"hello":"world"}}', "complete 2", 'next 1 {"data":{"slow":"at last"}}', "complete 1"],
    ["subscribe 1", "slow", "subscribe 2", "complete 2", "complete 1"],
  ),
  {
    ...begun("asks 100 things at once", [...many(100, (at) => ask(String(at), `{ hello(to: "${at}") }`)), 200], [], []),
    isLong: "in any order",
    sees: {
      client: [
        "100 times complete #; 100 different",
        '100 times next # {"data":{"hello":"#"}}; 100 different',
        "closed 1000 bye",
        "connection_ack",
      ],
      server: [
        "100 times complete #; 100 different",
        "100 times subscribe #; 100 different",
        "closed 1000 bye",
        "connect",
        "disconnect 1000 bye",
      ],
    },
  },
  begun(
    "hears 500 ticks, one by one",
    [ask("1", ALL), ...many(500, (at) => [tick(at), 1]).flat()],
    ['500 times next # {"data":{"ticks":#}}; 500 different, in turn'],
    ["subscribe 1", "returned all", "complete 1"],
    { isLong: "in turn" },
  ),
  begun(
    "leaves in the middle of a subscription",
    [ask("1", ALL), tick(1), 1, leave(4321, "enough")],
    [TICK],
    ["subscribe 1", "returned all", "complete 1"],
    { end: "4321 enough" },
  ),
  begun(
    "leaves while its operation is being prepared",
    [ask("1", "{ hello }"), seen("subscribe")],
    [],
    ["subscribe 1"],
    { options: { onSubscribe: never } },
  ),
  begun(
    "is cut off in the middle of a subscription",
    [ask("1", ALL), tick(1), 1, (_stage: GraphqlStage, socket: WebSocket) => socket.terminate()],
    [TICK],
    ["subscribe 1", "returned all", "complete 1"],
    { end: "1006", cut: "client" },
  ),
  begun(
    "is closed by the server in the middle of a subscription",
    [ask("1", ALL), tick(1), 1, (stage: GraphqlStage) => stage.socket().close(4444, "moved")],
    [TICK],
    ["subscribe 1", "returned all", "complete 1"],
    { end: "4444 moved" },
  ),
  begun(
    "loses its server in the middle of a subscription",
    [ask("1", ALL), tick(1), 1, (stage: GraphqlStage) => stage.socket().terminate()],
    [TICK],
    ["subscribe 1", "returned all", "complete 1"],
    { end: "1006", cut: "server" },
  ),
  begun(
    "loses a server that says goodbye in the middle of a subscription",
    [ask("1", ALL), tick(1), 1, (stage: GraphqlStage) => stage.restart()],
    [TICK],
    ["subscribe 1", "returned all", "complete 1"],
    { end: "1001 Going away" },
  ),
];
