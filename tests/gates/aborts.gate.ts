import { type Gateway, startGateway } from "../support/gateway.ts";
import { Origin } from "../support/origin/origin.ts";
import type { Proof } from "../support/proof.ts";
import { RawClient } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

const CLIENTS = 1_000;
const AT_ONCE = 250;
const LARGE = 1024 * 1024 * 1024;

/** Where in an exchange its client goes away, as the bytes that it has sent by then. */
const MOMENTS: readonly string[] = [
  request({ target: "/held" }),
  request({ target: `/bytes/${LARGE}` }),
  request({ target: "/sse?events=1" }),
  `POST /a HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
];

/** 1,000 clients that reset, at every stage of an exchange, leave no request behind at the origin. */
export async function run(): Promise<Proof[]> {
  const origin = await Origin.start();
  const gateway = await startGateway({
    config: { allowPrivateTargets: true, routes: [{ prefix: "/", target: origin.url }] },
  });
  try {
    for (let done = 0; done < CLIENTS; done += AT_ONCE) await abortMany(gateway, origin);
    const began = performance.now();
    await origin.until("every connection to close", ({ openConnections }) => openConnections === 0);
    const waited = performance.now() - began;
    return [
      {
        promise: `${CLIENTS} clients that reset`,
        bound: "no connection left at the origin",
        figure: `${origin.seen.length} seen, 0 left ${waited.toFixed(0)} ms after the last reset`,
        pass: origin.seen.length === CLIENTS,
      },
    ];
  } finally {
    await gateway.stop();
    await origin.stop();
  }
}

async function abortMany(gateway: Gateway, origin: Origin): Promise<void> {
  const seen = origin.seen.length + AT_ONCE;
  const clients = await Promise.all(Array.from({ length: AT_ONCE }, () => RawClient.open(gateway.url)));
  for (const [index, client] of clients.entries()) void client.send(MOMENTS[index % MOMENTS.length] ?? "");
  await origin.until(`${AT_ONCE} requests to arrive`, (now) => now.seen.length === seen && now.busy === AT_ONCE);
  for (const client of clients) client.reset();
  await origin.until(`${AT_ONCE} requests to end`, ({ busy }) => busy === 0);
}
