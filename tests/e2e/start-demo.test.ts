import { expect, it } from "vitest";
import { type DemoOrigin, startDemoOrigin } from "../../scripts/demo-origin.ts";
import { atEnd } from "./start-fixtures.ts";

it("shows a request as it arrived", async () => {
  const { url } = await demo();

  const response = await fetch(`${url}/api/echo?a=1`, { method: "POST", headers: { "X-Mine": "yes" }, body: "grüß" });

  expect(await response.json()).toMatchObject({
    method: "POST",
    path: "/api/echo?a=1",
    headers: { "x-mine": "yes" },
    body: "grüß",
  });
});

it.each([0, 1, 65_536, 200_001])("sends %i bytes and says so beforehand", async (count) => {
  const { url } = await demo();

  const response = await fetch(`${url}/api/bytes/${count}`);

  expect(response.headers.get("Content-Length")).toBe(String(count));
  expect((await response.arrayBuffer()).byteLength).toBe(count);
});

it("sends as many server-sent events as it is asked for", async () => {
  const { url } = await demo();

  const response = await fetch(`${url}/api/stream?events=2`);

  expect(response.headers.get("Content-Type")).toBe("text/event-stream");
  expect(await response.text()).toBe('id: 1\ndata: {"event":1,"of":2}\n\nid: 2\ndata: {"event":2,"of":2}\n\n');
});

it.each([
  ["/api/slow?ms=1", 200, { waitedMs: 1 }],
  ["/api/slow?ms=nonsense", 200, { waitedMs: 0 }],
  ["/api/hello", 200, { message: "Hello from the demo origin", path: "/api/hello" }],
  [
    "/api/nothing",
    404,
    { message: "The demo origin has /api/hello, /api/echo, /api/slow, /api/stream and /api/bytes/N" },
  ],
])("answers %s with %i", async (path, status, body) => {
  const { url } = await demo();

  const response = await fetch(`${url}${path}`);

  expect({ status: response.status, body: await response.json() }).toEqual({ status, body });
});

async function demo(): Promise<DemoOrigin> {
  const origin = await startDemoOrigin();
  atEnd(() => origin.close());
  return origin;
}
