import type { Settings } from "./options.ts";

/** What the gateway knows of a session. */
export interface SessionStatus {
  /** Names the gateway's memory of it. */
  readonly epoch: string;
  /** Messages of the client that have come. */
  readonly recv: number;
  /** How often the gateway had to read the session from its storage after a crash. */
  readonly restarts: number;
  /** How many connections it has had since it was opened or restored; a `hello` comes on the latest. */
  readonly connection?: number;
  /** Whether the gateway says `hello` on a connection whose URL asks for that. */
  readonly hello?: boolean;
  /** Whether it has ended, and the client was told so. */
  readonly over?: boolean;
}

/**
 * Asks by a plain GET of the session's own URL, since no browser shows a page the headers of a handshake's answer.
 *
 * @returns `retry`: nothing came, or the gateway is busy; `none`: whoever answered knows nothing of sessions.
 */
export async function askStatus(
  socketUrl: string,
  { fetch: get, headers, handshakeTimeoutMs }: Pick<Settings, "fetch" | "headers" | "handshakeTimeoutMs">,
): Promise<SessionStatus | "retry" | "none"> {
  try {
    const url = socketUrl.replace(/^ws/, "http");
    const init = {
      headers: { ...headers(), accept: "application/json" },
      credentials: "include",
      cache: "no-store",
      // Browsers have six connections for a host; those that hang would keep it from being asked again.
      signal: AbortSignal.timeout(handshakeTimeoutMs),
    } as const;
    const response = await get(url, init);
    if (response.status === 408 || response.status === 429 || response.status >= 500) return "retry";
    const document: unknown = response.ok ? await response.json().catch(() => undefined) : undefined;
    return isStatus(document) ? document : "none";
  } catch {
    return "retry";
  }
}

function isStatus(value: unknown): value is SessionStatus {
  if (typeof value !== "object" || value === null) return false;
  const { epoch, recv, restarts }: { epoch?: unknown; recv?: unknown; restarts?: unknown } = value;
  return typeof epoch === "string" && Number.isSafeInteger(recv) && Number.isSafeInteger(restarts);
}

/** What the URL of a session says. */
export interface SessionUrl {
  readonly session: string;
  /** How many messages have come; undefined: it is new. */
  readonly recv: number | undefined;
  readonly control: boolean;
  /** Whether `hello` alone is wanted of all control frames. */
  readonly hello: boolean;
}

/** The URL of a session. */
export function sessionUrl(url: URL, asked: SessionUrl): string {
  const made = new URL(url);
  made.searchParams.set("_ws_session", asked.session);
  if (asked.recv !== undefined) made.searchParams.set("_ws_recv", String(asked.recv));
  if (asked.control) made.searchParams.set("_ws_ctl", "1");
  if (asked.hello) made.searchParams.set("_ws_hello", "1");
  return made.href;
}

/**
 * Whether a session goes on without the connection that was made for it: the gateway refuses that for now, and says so by a close code
 * alone.
 *
 * @param known what was known before. @param isClosed whether the connection has been closed already.
 */
export function isOfAnother(
  { restarts, connection, over }: SessionStatus,
  known: SessionStatus | undefined,
  isClosed: boolean,
): boolean {
  if (isClosed && over !== true) return true;
  return known?.restarts === restarts && connection !== undefined && connection <= (known.connection ?? 0);
}
