import * as v from "valibot";
import { closedObject } from "../document/closed-object.ts";
import { byteSize, inMemory } from "../values/byte-size.ts";
import { duration, formatMs } from "../values/duration.ts";
import { flag, integer, listOf } from "../values/primitives.ts";
import type { HeldSettings, ReconnectSettings } from "../web-socket-types.ts";
import { isOn, SECTION, switchable } from "./policy.ts";

/** Longer an object with a connection to an origin is not kept. */
const MAX_HOLD = 900_000;
const MIB = 2 ** 20;

/** What mode `held` means. */
export const DEFAULT_HELD: HeldSettings = {
  holdMs: 30_000,
  ringMessages: 1_000,
  ringBytes: MIB,
  resumeOn1001: false,
  durable: false,
  reconnect: undefined,
};

/** What `upstreamReconnect: true` means. */
export const DEFAULT_RECONNECT: ReconnectSettings = {
  on: [1001, 1006, 1012, 1013],
  minDelayMs: 100,
  maxDelayMs: 5_000,
  giveUpMs: 30_000,
  queue: { messages: 256, bytes: 262_144 },
  replayFirst: 0,
  skipAnswers: 0,
};

const RECONNECT = {
  enabled: v.optional(flag),
  on: v.optional(
    listOf(
      integer(1000, 4999),
      "an array of close codes, in which 1006 stands for a connection that was lost without any",
    ),
  ),
  minDelay: v.optional(duration("ms", { min: 1, max: 60_000 })),
  maxDelay: v.optional(duration("ms", { min: 1, max: 60_000 })),
  giveUp: v.optional(duration("ms", { max: MAX_HOLD })),
  queueMessages: v.optional(integer(0, 10_000)),
  queueBytes: v.optional(inMemory),
  replayFirst: v.optional(integer(0, 8)),
  skipAnswers: v.optional(integer(0, 8)),
};

/** An origin that is lost is dialled again. */
export const UpstreamReconnectSchema = v.pipe(
  closedObject(RECONNECT),
  v.forward(
    v.check(
      ({ minDelay, maxDelay }) => {
        const standard = DEFAULT_RECONNECT;
        return (minDelay ?? standard.minDelayMs) <= (maxDelay ?? standard.maxDelayMs);
      },
      `at most "maxDelay", which is ${formatMs(DEFAULT_RECONNECT.maxDelayMs)} unless it is written`,
    ),
    ["minDelay"],
  ),
);

/** What is easily written a level too high, or two. */
export const RECONNECT_FIELDS = Object.keys(RECONNECT).filter((field) => field !== "enabled");
const ELSEWHERE = Object.fromEntries(
  RECONNECT_FIELDS.map((field) => [field, 'a known key: this one stands in "upstreamReconnect"']),
);

/** Sessions that outlive the connection of their client. */
export const HeldSchema = v.pipe(
  closedObject(
    {
      hold: v.optional(duration("ms", { min: 1, max: MAX_HOLD })),
      ringMessages: v.optional(integer(1, 100_000)),
      ringBytes: v.optional(v.pipe(byteSize(1), v.maxValue(32 * MIB, "at most 32 MiB"))),
      resumeOn1001: v.optional(flag),
      durable: v.optional(flag),
      upstreamReconnect: v.optional(switchable(UpstreamReconnectSchema)),
    },
    {
      wanted: SECTION,
      elsewhere: { ...ELSEWHERE, reconnect: 'a known key; did you mean "upstreamReconnect"?' },
    },
  ),
  v.forward(
    v.check(
      ({ durable, ringBytes }) => durable !== true || (ringBytes ?? 0) <= MIB,
      "at most 1 MiB where it is durable: a batch is one row",
    ),
    ["ringBytes"],
  ),
);

/** Fills in what is left out. */
export function resolveHeld(written: v.InferOutput<typeof HeldSchema>): HeldSettings {
  const standard = DEFAULT_HELD;
  const { hold, upstreamReconnect, ...rest } = written;
  return {
    holdMs: hold ?? standard.holdMs,
    ringMessages: rest.ringMessages ?? standard.ringMessages,
    ringBytes: rest.ringBytes ?? standard.ringBytes,
    resumeOn1001: rest.resumeOn1001 ?? standard.resumeOn1001,
    durable: rest.durable ?? standard.durable,
    reconnect: resolveReconnect(upstreamReconnect),
  };
}

function resolveReconnect(
  written: boolean | v.InferOutput<typeof UpstreamReconnectSchema> | undefined,
): ReconnectSettings | undefined {
  const standard = DEFAULT_RECONNECT;
  if (written === true) return standard;
  if (written === undefined || written === false || !isOn(written)) return undefined;
  const replayFirst = written.replayFirst ?? standard.replayFirst;
  return {
    on: written.on ?? standard.on,
    minDelayMs: written.minDelay ?? standard.minDelayMs,
    maxDelayMs: written.maxDelay ?? standard.maxDelayMs,
    giveUpMs: written.giveUp ?? standard.giveUpMs,
    queue: {
      messages: written.queueMessages ?? standard.queue.messages,
      bytes: written.queueBytes ?? standard.queue.bytes,
    },
    replayFirst,
    skipAnswers: written.skipAnswers ?? Math.min(1, replayFirst),
  };
}
