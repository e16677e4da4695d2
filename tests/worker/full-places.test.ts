import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { OPENING, readOpening } from "../../objects/web-socket-relay/opening.ts";
import { refused } from "../../objects/web-socket-relay/refused.ts";
import { codeOf } from "../../worker/problem.ts";
import { knownRefusal, noteRefusal } from "../../worker/web-socket/full-places.ts";
import { relaySession } from "../../worker/web-socket/relay-session.ts";
import { exchangeFor } from "./exchange.ts";

afterEach(() => {
  vi.useRealTimers();
});

const place = { owner: "o", client: "c", policy: "web-socket:chat:ip", most: 1 };
const refusal = { code: "too-many-connections", detail: "full", retryAfter: "5", place: place.policy };

it("believes for 250 ms that a place is taken, for those alone who want the same", () => {
  const other = { ...place, client: "d" };
  expect(knownRefusal([place], 1_000)).toBeUndefined();
  noteRefusal(refusal, [other, place], 1_000);
  noteRefusal({ ...refusal, place: "another" }, [other], 1_000);
  expect(knownRefusal([place], 1_000)).toBeUndefined();
  expect(knownRefusal([place, other], 1_249)).toEqual(refusal);
  expect(knownRefusal([other], 1_250)).toBeUndefined();
  // The clock was set back.
  expect(knownRefusal([other], 500)).toBeUndefined();
});

it("remembers nothing of a refusal that was for something else", () => {
  noteRefusal({ code: "upstream-timeout", detail: "late", retryAfter: null }, [place], 5_000);
  expect(knownRefusal([place], 5_000)).toBeUndefined();
});

it.each([
  ["asks no object again for an address that has all its places", "192.0.2.7", { mode: "bridge" }, "", 1],
  ["nor for a session that its client has not named", "192.0.2.8", { held: {} }, "", 1],
  [
    "but for one that its client comes back to",
    "192.0.2.9",
    { held: {} },
    "?_ws_session=0123456789abcdefghijklmnop",
    3,
  ],
])("%s", async (_title, address, webSocket, query, most) => {
  // The calls are not to take longer than a refusal is believed.
  vi.useFakeTimers({ toFake: ["Date"] });
  let asked = 0;
  const namespace = new Proxy(env.WEB_SOCKET_RELAY, {
    get(target, method) {
      if (method !== "get") return Reflect.get(target, method).bind(target);
      return () => ({
        fetch(request: Request): Promise<Response> {
          asked += 1;
          const [first] = readOpening(request.headers.get(OPENING)).places;
          return Promise.resolve(refused({ ...refusal, place: first?.policy ?? "" }));
        },
      });
    },
  });
  const bindings = { ...env, WEB_SOCKET_BRIDGE: namespace, WEB_SOCKET_RELAY: namespace };
  const exchange = exchangeFor({ prefix: "/", webSocket }, bindings);
  const settings = exchange.route.route.webSocket;
  if (settings === undefined) throw new Error("the route has WebSockets");
  const relay = relaySession(settings, "");
  const client = { ...exchange.client, address, network: address };
  const codes: string[] = [];
  for (let n = 0; n < 3; n++) {
    const request = new Request(`http://gateway.test/${query}`, { headers: { upgrade: "websocket" } });
    await relay({ ...exchange, request, client, principal: address }).catch((error: unknown) =>
      codes.push(codeOf(error)),
    );
  }
  expect([codes, asked]).toEqual([Array.from({ length: 3 }, () => "too-many-connections"), most]);
});
