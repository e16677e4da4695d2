import type { ResumableOptions } from "../../../clients/websocket/resumable-web-socket.ts";
import { createRandom } from "../../simulation/random.ts";
import { CutWire } from "./cut-wire.ts";
import { openHeld } from "./held-client.ts";
import type { Peer } from "./peer.ts";
import type { Relayed } from "./relayed.ts";

/** How much weather a session is to stand. */
export interface StormOptions extends Pick<ResumableOptions, "control"> {
  /** Each way. */
  readonly messages: number;
  readonly resets: number;
  readonly takeovers: number;
  readonly seed: number;
  /** Whether the client has to ask by plain GETs what has come, as if the gateway were an older one. */
  readonly asks?: boolean;
}

/** What came of it. */
export interface StormEnd {
  readonly toOrigin: readonly string[];
  readonly toClient: readonly unknown[];
  readonly told: readonly string[];
  readonly resumeMs: readonly number[];
}

/** Messages under way each way: fewer than either side keeps. */
const MOST_UNDER_WAY = 300;

/** Sends numbered messages both ways through a session whose connection is reset and taken over at random. */
export async function storm(relayed: Relayed, path: string, options: StormOptions): Promise<StormEnd> {
  const { messages, resets, takeovers, seed, control = false, asks = false } = options;
  const random = createRandom(seed);
  const wire = await CutWire.start(Number(new URL(relayed.gateway.url).port));
  try {
    const mark = `storm=${seed}.`;
    const client = await openHeld(`ws://127.0.0.1:${wire.port}/${path}/held?${mark}`, {
      control,
      ...(asks ? { fetch: withoutHello } : {}),
    });
    const origin = listening(await relayed.origin.accept(mark));
    const blows = shuffled(
      [...Array<string>(resets).fill("reset"), ...Array<string>(takeovers).fill("takeover")],
      random,
    );
    const every = messages / (blows.length + 1);
    let sent = 0;
    while (sent < messages) {
      const burst = Math.min(random.integer(1, Math.max(1, Math.floor(every))), messages - sent);
      for (let index = 0; index < burst; index += 1) {
        sent += 1;
        client.socket.send(`c${sent}`);
        origin.peer.text(`s${sent}`);
      }
      if (sent >= every * (resets + takeovers - blows.length + 1)) {
        const back = resets + takeovers - blows.length;
        await client.until(() => client.told.filter((what) => what === "resumed").length >= back);
        if (blows.pop() === "reset") wire.reset();
        else client.socket.reconnect();
      }
      const due = sent - random.integer(0, MOST_UNDER_WAY);
      if (client.got.length < due) await client.until(() => client.got.length >= due || client.socket.readyState !== 1);
      if (origin.got.length < due) await origin.until(() => origin.got.length >= due);
      if (client.socket.readyState !== 1) break;
    }
    await client.until(() => client.got.length >= messages || client.socket.readyState !== 1);
    if (client.socket.readyState === 1) await origin.until(() => origin.got.length >= messages);
    // The last blow may come after all has: what is closed without a connection ends with 1006.
    const isBack = () => client.told.filter((what) => what === "resumed").length >= resets + takeovers;
    await client.until(() => isBack() || client.socket.readyState !== 1);
    client.socket.close(1000);
    await client.until(() => client.told.some((what) => what.startsWith("close")));
    return { toOrigin: origin.got, toClient: client.got, told: client.told, resumeMs: client.resumeMs };
  } finally {
    await wire.stop();
  }
}

/** Has a client believe that it will not be greeted. */
async function withoutHello(...args: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(...args);
  if (!response.ok) return response;
  const document: Record<string, unknown> = JSON.parse(await response.text());
  return Response.json({ ...document, hello: undefined });
}

/** An origin's side of a session: keeps texts, and answers as a sound endpoint does. */
export function listening(peer: Peer): {
  readonly peer: Peer;
  readonly got: string[];
  until(holds: () => boolean): Promise<void>;
} {
  const got: string[] = [];
  let waiters: (() => void)[] = [];
  const early = [...peer.frames];
  peer.countOnly().behave();
  const behave = peer.onFrame;
  peer.onFrame = (frame) => {
    behave?.(frame);
    take(frame);
  };
  function take({ opcode, payload }: Peer["frames"][number]): void {
    if (opcode === 1) got.push(payload.toString());
    for (const waiter of waiters.splice(0)) waiter();
  }
  for (const frame of early) take(frame);
  return {
    peer,
    got,
    async until(holds) {
      while (!holds()) await new Promise<void>((resolve) => waiters.push(resolve));
    },
  };
}

function shuffled(list: string[], random: ReturnType<typeof createRandom>): string[] {
  return list
    .map((item) => ({ item, at: random.next() }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ item }) => item);
}

/** What should have come: `c1` to `c<count>`, or `s`. */
export function numbered(prefix: "c" | "s", count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
}

/** Whether exactly this came, in order. */
export function sameSequence(got: readonly unknown[], wanted: readonly unknown[]): boolean {
  return got.length === wanted.length && got.every((item, index) => item === wanted[index]);
}
