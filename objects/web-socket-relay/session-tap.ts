import type { TapOptions, TapReply } from "./session-control.ts";

/** What an operator sees of a session as it passes: a stream of server-sent events, for ten minutes at most. */
export interface SessionTap {
  readonly events: ReadableStream<Uint8Array>;
  /** Shows a message, if it is one of those that are to be shown. Costs next to nothing once the tap is over. */
  note(direction: "in" | "out", message: string | ArrayBuffer, now: number): void;
  /** Says nothing, now and then: it is noticed so that whoever looked has left, or that the time is over. */
  beat(now: number): void;
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
/** What may stand in front of JSON: the kind of a packet, its namespace and its number (socket.io, SockJS). */
const FRAME = /^\s*(?:[a-z0-9]{1,8}-?)?(?:\/[^,[{\s]{0,256},)?\d{0,16}/;

/**
 * Taps a session: its relay calls `note` for each message. The events are `message` {n, at, direction, type, bytes or characters, data or
 * base64, isCut}, `dropped` {messages}, `closed` {code, reason} and `over`. Of a JSON text, also one behind a short frame as those of
 * socket.io, the values of members that are to be redacted are hidden at any depth; of any other text what follows such a name and `:` or
 * `=`. What is binary is shown as it is.
 *
 * @param onOver called once when nobody looks any more, for whatever reason.
 */
export function createSessionTap(options: TapOptions, now: number, onOver: () => void): SessionTap {
  const encoder = new TextEncoder();
  const redact = redaction(options.redact);
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

  function isLate(at: number): boolean {
    if (at - now < MAX_MS) return false;
    end("over", { at, why: "ten minutes are over" });
    return true;
  }

  return {
    events,
    note(direction, message, at) {
      if (target === undefined || isLate(at)) return;
      if (options.direction !== "both" && options.direction !== direction) return;
      seen += 1;
      if ((seen - 1) % options.sample !== 0) return;
      if ((target.desiredSize ?? 0) <= 0) {
        dropped += 1;
        return;
      }
      if (dropped > 0) send("dropped", { at, messages: dropped });
      dropped = 0;
      send("message", { n: seen, at, direction, ...shown(message, options.maxBytes, redact) });
    },
    beat(at) {
      if (!isLate(at) && (target?.desiredSize ?? 0) > 0) target?.enqueue(encoder.encode(":\n\n"));
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

type Redact = (text: string) => string;

function shown(message: string | ArrayBuffer, most: number, redact: Redact): object {
  if (typeof message !== "string") {
    const bytes = new Uint8Array(message, 0, Math.min(most, message.byteLength));
    const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    return { type: "binary", bytes: message.byteLength, base64, isCut: message.byteLength > most };
  }
  const text = redact(message);
  return { type: "text", characters: message.length, data: text.slice(0, most), isCut: text.length > most };
}

/** Hides what follows these names. Costs nothing where there are none. */
function redaction(names: readonly string[]): Redact {
  if (names.length === 0) return (text) => text;
  const hidden = new Set(names.map((name) => name.toLowerCase()));
  const anyName = names.map((name) => name.replaceAll(/[^\w]/g, String.raw`\$&`)).join("|");
  // To the end of its line: `Authorization: Bearer x` is two words.
  const pairs = new RegExp(String.raw`\b(${anyName})(["']?\s{0,8}[:=])[^\r\n&;]*`, "gi");

  function parsed(text: string): string | undefined {
    try {
      const document: unknown = JSON.parse(text);
      return JSON.stringify(document, (name, value: unknown) => (hidden.has(name.toLowerCase()) ? HIDDEN : value));
    } catch {
      return undefined;
    }
  }

  return (text) => {
    const [frame = ""] = FRAME.exec(text) ?? [];
    const isJson = /^[{[]/.test(text.slice(frame.length, frame.length + 1));
    if (isJson && text.length <= MAX_SEARCHED) {
      const known = parsed(text.slice(frame.length));
      if (known !== undefined) return `${frame}${known}`;
    }
    // Too long, cut short or not JSON after all: nobody knows what is in it.
    if (isJson && frame.trim() === "") return HIDDEN;
    return text.slice(0, MAX_SEARCHED).replaceAll(pairs, `$1$2${HIDDEN}`);
  };
}
