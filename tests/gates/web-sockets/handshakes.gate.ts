import { once } from "node:events";
import type { Proof } from "../../support/proof.ts";
import { beginHandshake, shakeHands } from "../../support/web-socket/client.ts";
import { connections } from "../../support/web-socket/own-sockets.ts";
import { below, each, rows } from "../../support/web-socket/proofs.ts";
import { eventually, startRelayed, type Relayed } from "../../support/web-socket/relayed.ts";

const MODES = ["splice", "bridge", "held", "shared"] as const;
type Mode = (typeof MODES)[number];
const DIALS = 100;
const TIMEOUT_MS = 1_000;

/** Handshakes that hang, that are given up and that nobody answers: what is answered, and what is left. */
export async function run(): Promise<readonly Proof[]> {
  const free = { handshakeTimeout: `${TIMEOUT_MS}ms`, sessionsPerAddress: false };
  const relayed = await startRelayed(
    {
      splice: { handshakeTimeout: free.handshakeTimeout },
      bridge: { mode: "bridge", ...free },
      held: { mode: "held", ...free },
      shared: { shared: {}, ...free },
    },
    {},
    "tests/support/relay-entry.ts",
  );
  try {
    const proofs: Proof[] = [];
    for (const mode of MODES) {
      proofs.push(...(await rows(`${mode}: handshakes that hang`, () => hanging(relayed, mode))));
    }
    await relayed.origin.stop();
    for (const mode of MODES) proofs.push(...(await rows(`${mode}: no origin`, () => refused(relayed, mode))));
    return [...proofs, uncaught(relayed)];
  } finally {
    await relayed.stop();
  }
}

/** A hundred that hang up as soon as they are dialled, a hundred that wait. */
async function hanging({ gateway, origin }: Relayed, mode: Mode): Promise<readonly Proof[]> {
  const [gatewayPort = 0, originPort = 0] = [gateway.url, origin.url].map((url) => Number(new URL(url).port));
  const ours = () => connections(gateway.workerdPid, gatewayPort, originPort);
  const knock = (n: number) => beginHandshake(gateway.url, { path: `/${mode}/hang?n=${n}&_ws_session=${sid(n)}` });
  const left = await Promise.all(Array.from({ length: DIALS }, (_, n) => knock(n)));
  const waiting = await Promise.all(Array.from({ length: DIALS }, (_, n) => knock(DIALS + n)));
  // Who is dialled for can leave in the middle of that.
  await eventually("the dials", () => Promise.resolve(origin.hanging === 2 * DIALS || undefined));
  const began = performance.now();
  const most = ours();
  for (const socket of left) socket.destroy();
  const heads = await Promise.all(waiting.map((socket) => once(socket, "data").then(([head]) => String(head))));
  const statuses = heads.map((head) => head.split(" ")[1] ?? "nothing");
  for (const socket of waiting) socket.destroy();
  // The promise is about a point in time, so there is nothing to wait for but that.
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, began + TIMEOUT_MS + 1_000 - performance.now())));
  return [
    each(
      `${mode}: answers to dials that hang, 504`,
      DIALS,
      statuses.filter((status) => status !== "504"),
    ),
    below(
      `${mode}: sockets of ours left of ${DIALS} aborted and ${DIALS} hanging dials, 1 s after handshakeTimeout`,
      0,
      ours(),
      `; the origin sees ${origin.hanging}, there were ${most}`,
    ),
  ];
}

async function refused({ gateway }: Relayed, mode: Mode): Promise<readonly Proof[]> {
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => shakeHands(gateway.url, { path: `/${mode}/?n=${n}&_ws_session=${sid(n)}` })),
  );
  const others = answers.map(({ status }) => String(status)).filter((status) => status !== "502");
  return [each(`${mode}: answers where the origin is gone, 502`, answers.length, others)];
}

/** What is no JSON is a complaint of the runtime's, or of a rejection that nobody has caught; of the gateway's errors, a 502 and a 504 are what was asked for. */
function uncaught({ gateway }: Relayed): Proof {
  const complaints = gateway.complaints();
  const isMeant = (line: Record<string, unknown>) => line["status"] === 502 || line["status"] === 504;
  const internal = gateway.logs().filter((line) => line["level"] === "error" && !isMeant(line));
  const lines = [...complaints, ...internal.map((line) => JSON.stringify(line))];
  return below(
    "uncaught errors in the log of all that",
    0,
    lines.length,
    lines.length === 0 ? "" : `; ${lines[0]?.slice(0, 120)}`,
  );
}

/** Of a session that can be resumed; other modes pass it on. */
function sid(n: number): string {
  return String(n).padStart(22, "s");
}
