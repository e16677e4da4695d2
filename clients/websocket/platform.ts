/** The part of a `WebSocket` that is used. */
export interface Socket {
  binaryType: "blob" | "arraybuffer";
  readonly bufferedAmount: number;
  readonly extensions: string;
  readonly protocol: string;
  readonly readyState: number;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(
    type: "message",
    listener: (event: { readonly data: unknown; readonly origin: string }) => void,
  ): void;
  addEventListener(
    type: "close",
    listener: (event: { readonly code: number; readonly reason: string; readonly wasClean: boolean }) => void,
  ): void;
  send(data: string | ArrayBuffer | Blob): void;
  close(code?: number, reason?: string): void;
}

/** What makes one, such as the platform's own `WebSocket`. */
export type SocketConstructor = new (url: string, protocols?: string | string[]) => Socket;

/** An event with what it says; a `CloseEvent` where the platform has that. */
export function closeEvent(init: { code: number; reason: string; wasClean: boolean }): CloseEvent {
  if (typeof CloseEvent === "function") return new CloseEvent("close", init);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a CloseEvent has, for Node before 23
  return Object.assign(new Event("close"), init) as CloseEvent;
}

/** Bytes of a text in UTF-8. */
export function utf8Length(text: string): number {
  return new TextEncoder().encode(text).byteLength;
}

/** 22 characters of base64url: 128 random bits that nobody can guess, since whoever knows them and is the same client has the session. */
export function newSessionId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Calls back whenever the browser says that it has a network again; returns what ends that. Elsewhere never. */
export function whenOnline(listener: () => void): () => void {
  const scope: object = globalThis;
  if (!(scope instanceof EventTarget)) return () => {};
  scope.addEventListener("online", listener);
  return () => scope.removeEventListener("online", listener);
}

/** @throws DOMException `SyntaxError` where a `WebSocket` would. */
export function webSocketUrl(given: string | URL): URL {
  const { location, document } = page();
  const base = document?.baseURI ?? location?.href;
  const url = parse(String(given), base);
  if (url !== undefined) url.protocol = url.protocol.replace(/^http/, "ws");
  if (url === undefined || !/^wss?:$/.test(url.protocol) || url.href.includes("#")) {
    throw new DOMException(`got ${given}, wanted a URL of ws:, wss:, http: or https: and no fragment`, "SyntaxError");
  }
  return url;
}

function parse(url: string, base: string | undefined): URL | undefined {
  try {
    return new URL(url, base);
  } catch {
    return undefined;
  }
}

/** What there is of a page; nothing elsewhere. */
function page(): { readonly location?: { readonly href?: string }; readonly document?: { readonly baseURI?: string } } {
  const scope: object = globalThis;
  return scope;
}

/** Whether it is of another origin than the page that this runs in; in none nothing is. */
export function isForeign(url: URL): boolean {
  const href = page().location?.href;
  return href !== undefined && new URL(href).origin !== url.origin.replace(/^ws/, "http");
}
