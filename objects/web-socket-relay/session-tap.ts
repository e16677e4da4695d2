import type { TapOptions, TapReply } from "./session-control.ts";

/** What an operator sees of a session as it passes: a stream of server-sent events, for ten minutes at most. */
export interface SessionTap {
  readonly events: ReadableStream<Uint8Array>;
  /** Shows a message, if it is one of those that are to be shown. Costs next to nothing once the tap is over. */
  note(direction: "in" | "out", message: string | ArrayBuffer, now: number): void;
  /** Says nothing, now and then: it is noticed so that whoever looked has left. */
  beat(): void;
  /** The session has ended. */
  closed(code: number, reason: string, now: number): void;
}

/** A tap that was forgotten must not go on for ever. */
const MAX_MS = 600_000;
/** Of events that nobody has read yet; those after that are left out, and counted. */
const MAX_WAITING_BYTES = 262_144;
/** What is longer is not searched for what is not to be shown, and so not shown. */
const MAX_SEARCHED = 65_536;
const HIDDEN = "[redacted]";

/**
 * Taps a session: its relay calls `note` for each message. The events are `message` {n, at, direction, type, bytes or characters, data or
 * base64, isCut}, `dropped` {messages}, `closed` {code, reason} and `over`. Of a JSON text the values of members that are to be
 * redacted are hidden at any depth; any other text, and what is binary, is shown as it is.
 *
 * @param onOver called once when nobody looks any more, for whatever reason.
 */
export function createSessionTap(options: TapOptions, now: number, onOver: () => void): SessionTap {
  const encoder = new TextEncoder();
  const hidden = new Set(options.redact.map((name) => name.toLowerCase()));
  let target: ReadableStreamDefaultController<Uint8Array> | undefined;
  let seen = 0;
  let dropped = 0;

  const events = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        target = controller;
      },
      cancel() {
        target = undefined;
        onOver();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: MAX_WAITING_BYTES }),
  );

  function send(name: string, event: object): void {
    target?.enqueue(encoder.encode(`event: ${name}\ndata: ${JSON.stringify(event)}\n\n`));
  }

  function end(name: string, event: object): void {
    if (target === undefined) return;
    send(name, event);
    target.close();
    target = undefined;
    onOver();
  }

  return {
    events,
    note(direction, message, at) {
      if (target === undefined) return;
      if (at - now >= MAX_MS) {
        end("over", { at, why: "ten minutes are over" });
        return;
      }
      if (options.direction !== "both" && options.direction !== direction) return;
      seen += 1;
      if ((seen - 1) % options.sample !== 0) return;
      if ((target.desiredSize ?? 0) <= 0) {
        dropped += 1;
        return;
      }
      if (dropped > 0) send("dropped", { at, messages: dropped });
      dropped = 0;
      send("message", { n: seen, at, direction, ...shown(message, options.maxBytes, hidden) });
    },
    beat() {
      if ((target?.desiredSize ?? 0) > 0) target?.enqueue(encoder.encode(":\n\n"));
    },
    closed(code, reason, at) {
      end("closed", { at, code, reason });
    },
  };
}

/** Begins to show what passes to whoever asked first. @param holder of the tap, while there is one. */
export function tapOnto(holder: { tap: SessionTap | undefined }, options: TapOptions): TapReply {
  if (holder.tap !== undefined) return { kind: "busy" };
  holder.tap = createSessionTap(options, Date.now(), () => (holder.tap = undefined));
  return { kind: "tapped", events: holder.tap.events };
}

function shown(message: string | ArrayBuffer, most: number, hidden: ReadonlySet<string>): object {
  if (typeof message !== "string") {
    const bytes = new Uint8Array(message, 0, Math.min(most, message.byteLength));
    const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    return { type: "binary", bytes: message.byteLength, base64, isCut: message.byteLength > most };
  }
  const text = hidden.size === 0 ? message : withoutHidden(message, hidden);
  return { type: "text", characters: message.length, data: text.slice(0, most), isCut: text.length > most };
}

function withoutHidden(text: string, hidden: ReadonlySet<string>): string {
  if (!/^\s*[{[]/.test(text)) return text;
  if (text.length > MAX_SEARCHED) return HIDDEN;
  try {
    const document: unknown = JSON.parse(text);
    return JSON.stringify(document, (name, value: unknown) => (hidden.has(name.toLowerCase()) ? HIDDEN : value));
  } catch {
    // Cut short or not JSON after all: nobody knows what is in it.
    return HIDDEN;
  }
}
