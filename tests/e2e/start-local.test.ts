import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type LocalOptions, startLocal } from "../../scripts/local/start-local.ts";
import { atEnd, directory, origin } from "./start-fixtures.ts";

const entry = fileURLToPath(new URL("../support/outbound-entry.ts", import.meta.url));

describe.each([{ bare: false }, { bare: true }])("the local runtime (bare: $bare)", ({ bare }) => {
  it("connects to private addresses when it may", async () => {
    const target = await origin((_request, response) => response.end("hello"));
    const url = await running({ bare, privateNetwork: true });

    expect(await outcome(url, target)).toEqual({ status: 200, body: "hello" });
  });

  it("refuses private addresses when it may not, also behind a name", async () => {
    const target = await origin((_request, response) => response.end("hello"));
    const named = target.replace("127.0.0.1", "localhost");
    const url = await running({ bare, privateNetwork: false });

    expect(await outcome(url, target)).toEqual({ refused: true });
    expect(await outcome(url, named)).toEqual({ refused: true });
  });

  it("sends the origin nothing but what the Worker sends", async () => {
    const target = await origin((request, response) => response.end(Object.keys(request.headers).toSorted().join(" ")));
    const url = await running({ bare, privateNetwork: true });

    // Miniflare's own outbound Worker would add cf-worker: its absence is the sign that it is out of the way.
    expect(await outcome(url, target)).toEqual({ status: 200, body: "host" });
  });
});

it("runs two gateways of one process side by side", async () => {
  const target = await origin((_request, response) => response.end("hello"));
  const [open, shut] = await Promise.all([running({ privateNetwork: true }), running({ privateNetwork: false })]);

  expect(await outcome(open, target)).toEqual({ status: 200, body: "hello" });
  expect(await outcome(shut, target)).toEqual({ refused: true });
});

async function running(options: Omit<LocalOptions, "stateDirectory">): Promise<string> {
  const runtime = await startLocal({ ...options, entry, stateDirectory: directory(), onLog: () => {} });
  atEnd(() => runtime.stop());
  return runtime.urls[0] ?? "";
}

async function outcome(gateway: string, target: string): Promise<unknown> {
  const response = await fetch(`${gateway}/?url=${encodeURIComponent(target)}`);
  return response.json();
}
