import { isCount } from "../../numbers.ts";

/**
 * Level 1 of resumption: text messages that begin so are the relay's and the client's own, and not data. Data that happens to
 * begin so is sent behind `=`. No control frame counts as a message.
 */
export const CONTROL_PREFIX = "\u0000fg:";

/** What the two halves say to each other on the session's own connection. */
export type ControlFrame =
  | { readonly kind: "hello"; readonly epoch: string; readonly recv: number; readonly restarts: number }
  /** So many of the other's messages have come. */
  | { readonly kind: "ack"; readonly n: number }
  /** The gateway closes the connection then; the client had better come back by itself before. */
  | { readonly kind: "drain"; readonly inMs: number };

/** The text of a control frame. */
export function controlFrame(frame: ControlFrame): string {
  const { kind, ...members } = frame;
  return `${CONTROL_PREFIX}${kind}${JSON.stringify(members)}`;
}

/** A text message as it is sent when control frames are in use. */
export function escapeText(text: string): string {
  return text.startsWith(CONTROL_PREFIX) ? `${CONTROL_PREFIX}=${text}` : text;
}

/** What a text that came is, when control frames are in use: data, a control frame, or neither (`undefined`: close with 1002). */
export function readText(text: string): { readonly data: string } | { readonly frame: ControlFrame } | undefined {
  if (!text.startsWith(CONTROL_PREFIX)) return { data: text };
  const rest = text.slice(CONTROL_PREFIX.length);
  if (rest.startsWith("=")) return { data: rest.slice(1) };
  // A frame is short; what is not need not be parsed.
  const [, kind, members] = rest.length > 256 ? [] : (/^([a-z]+)(\{.*\})$/.exec(rest) ?? []);
  const frame = kind === undefined || members === undefined ? undefined : frameOf(kind, parse(members));
  return frame === undefined ? undefined : { frame };
}

function frameOf(kind: string, members: Record<string, unknown>): ControlFrame | undefined {
  const { epoch, recv, restarts, n, inMs } = members;
  switch (kind) {
    case "hello":
      if (typeof epoch !== "string" || !isCount(recv) || !isCount(restarts)) return undefined;
      return { kind, epoch, recv, restarts };
    case "ack":
      return isCount(n) ? { kind, n } : undefined;
    case "drain":
      return isCount(inMs) ? { kind, inMs } : undefined;
    default:
      return undefined;
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
