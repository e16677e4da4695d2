/** Text messages that begin so are between the client and the gateway, where both have agreed on that (`control: true`). */
const PREFIX = "\u0000fg:";

/** What the gateway says on the session's own connection. */
export type ControlFrame =
  | { readonly kind: "hello"; readonly epoch: string; readonly recv: number; readonly restarts: number }
  | { readonly kind: "ack"; readonly n: number }
  | { readonly kind: "drain"; readonly inMs: number };

/** What says that so many messages have been received. */
export function ackFrame(n: number): string {
  return `${PREFIX}ack${JSON.stringify({ n })}`;
}

/** A text as it is sent: data that happens to begin like a control frame goes behind `=`. */
export function escapeText(text: string): string {
  return text.startsWith(PREFIX) ? `${PREFIX}=${text}` : text;
}

/** What a text that came is. Undefined: a frame of a newer gateway, which is ignored. */
export function readText(text: string): { readonly data: string } | { readonly frame: ControlFrame } | undefined {
  if (!text.startsWith(PREFIX)) return { data: text };
  const rest = text.slice(PREFIX.length);
  if (rest.startsWith("=")) return { data: rest.slice(1) };
  const [, kind, members = ""] = /^([a-z]+)(\{.*\})$/.exec(rest) ?? [];
  const { epoch, recv, restarts, n, inMs } = parse(members);
  if (kind === "hello" && typeof epoch === "string" && typeof recv === "number" && typeof restarts === "number") {
    return { frame: { kind, epoch, recv, restarts } };
  }
  if (kind === "ack" && typeof n === "number") return { frame: { kind, n } };
  return kind === "drain" && typeof inMs === "number" ? { frame: { kind, inMs } } : undefined;
}

/** What the gateway says of this session with the first message on a connection; undefined: that is something else. */
export function helloIn(
  data: unknown,
  epoch: string | undefined,
): Extract<ControlFrame, { kind: "hello" }> | undefined {
  const read = typeof data === "string" ? readText(data) : undefined;
  if (read === undefined || !("frame" in read) || read.frame.kind !== "hello") return undefined;
  // A backend behind a gateway that says none could say it too, but for that.
  return read.frame.epoch === epoch ? read.frame : undefined;
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
