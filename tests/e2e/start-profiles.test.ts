import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { startGateway } from "../support/gateway.ts";
import { isRunning, waitUntilGone } from "../support/process.ts";
import {
  accepts,
  directory,
  gatewayWith,
  helloOrigin,
  limited,
  origin,
  portOf,
  readyLine,
  startScript,
  unlimited,
  until,
} from "./start-fixtures.ts";

describe.each([{ bare: false }, { bare: true }])("a gateway (bare: $bare)", ({ bare }) => {
  it("shares one limit between its isolates", async () => {
    const gateway = await gatewayWith({ bare, isolates: 3, config: limited(4, await helloOrigin()) });

    const statuses: number[] = [];
    for (const index of [0, 1, 2, 0, 1, 2]) statuses.push(await statusOf(gateway.urls[index]));

    expect(statuses).toEqual([200, 200, 200, 200, 429, 429]);
  });

  it("finds its state again on the same port after SIGTERM and after SIGKILL", async () => {
    const options = { bare, state: directory(), config: limited(3, await helloOrigin()) };
    const first = await startGateway(options);
    const statuses = [await statusOf(first.url)];
    expect(await first.stop()).toBe(0);

    const second = await startGateway({ ...options, port: portOf(first) });
    statuses.push(await statusOf(second.url));
    await second.kill();

    const third = await gatewayWith({ ...options, port: portOf(first) });
    statuses.push(await statusOf(third.url), await statusOf(third.url));

    expect(statuses).toEqual([200, 200, 200, 429]);
    expect({ url: third.url, token: third.adminToken }).toEqual({ url: first.url, token: first.adminToken });
  });

  it("lets a request in flight finish, and prints its line, before it ends", async () => {
    const arrived = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const target = await origin(async (_request, response) => {
      arrived.resolve();
      await released.promise;
      response.end("late");
    });
    const gateway = await startGateway({ bare, config: unlimited(target) });
    const idle = connect({ host: "127.0.0.1", port: portOf(gateway) });
    await once(idle, "connect");
    const response = fetch(gateway.url);
    await arrived.promise;

    const stopped = gateway.stop();
    // The first thing that workerd does when told to end is to close connections on which nothing is asked.
    await once(idle, "close");
    released.resolve();

    expect(await (await response).text()).toBe("late");
    expect(await stopped).toBe(0);
    expect(gateway.logs().map((line) => line["status"])).toEqual([200]);
  });

  it("leaves no runtime behind when the start script is killed", async () => {
    const script = startScript(["--json", "--port=0", `--state=${directory()}`, ...(bare ? ["--bare"] : [])]);
    const { workerdPid } = await readyLine(script);

    script.signal("SIGKILL");

    await waitUntilGone(workerdPid);
    expect(isRunning(workerdPid)).toBe(false);
  });
});

it("restarts a runtime that was killed, on the same port and with its state", async () => {
  const gateway = await gatewayWith({ config: limited(2, await helloOrigin()) });
  const statuses = [await statusOf(gateway.url)];

  process.kill(gateway.workerdPid, "SIGKILL");
  await waitUntilGone(gateway.workerdPid);
  await until(() => accepts("127.0.0.1", portOf(gateway)));
  statuses.push(await statusOf(gateway.url), await statusOf(gateway.url));

  expect(statuses).toEqual([200, 200, 429]);
});

it("ends with 1 and says why when a bare runtime is killed", async () => {
  const script = startScript(["--bare", "--json", "--port=0", `--state=${directory()}`]);
  const { workerdPid } = await readyLine(script);

  process.kill(workerdPid, "SIGKILL");

  expect(await script.exited).toBe(1);
  expect(script.stderr()).toBe("sluice: workerd ended with SIGKILL\n");
});

it("finds what the other profile has stored", async () => {
  const options = { state: directory(), config: limited(3, await helloOrigin()) };
  const statuses: number[] = [];
  for (const bare of [false, true, false, true]) {
    const gateway = await startGateway({ ...options, bare });
    statuses.push(await statusOf(gateway.url));
    await gateway.stop();
  }

  expect(statuses).toEqual([200, 200, 200, 429]);
});

it("listens on the loopback address alone unless told otherwise", async () => {
  const loopback = startScript(["--json", "--port=0", `--state=${directory()}`]);
  const everywhere = startScript(["--json", "--port=0", `--state=${directory()}`, "--host=0.0.0.0"]);

  // Every address in 127/8 is this machine's (RFC 1122, 3.2.1.3); the gateway is to listen on 127.0.0.1 of them.
  expect(await acceptsOn("127.0.0.2", await readyLine(loopback))).toBe(false);
  expect(await acceptsOn("127.0.0.2", await readyLine(everywhere))).toBe(true);
});

async function acceptsOn(host: string, { urls }: { readonly urls: readonly string[] }): Promise<boolean> {
  return accepts(host, Number(new URL(urls[0] ?? "").port));
}

async function statusOf(url: string | undefined): Promise<number> {
  const response = await fetch(url ?? "");
  await response.body?.cancel();
  return response.status;
}
