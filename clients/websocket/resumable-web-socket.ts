import type { Sendable } from "./copies.ts";
import { createLink } from "./link.ts";
import type { Link, Lost } from "./link-events.ts";
import { settingsOf, type ResumableOptions, type Settings } from "./options.ts";
import { closeEvent, isForeign, pageUrl, utf8Length } from "./platform.ts";

export type { Lost, ResumableOptions, Sendable };

/** The events of a `ResumableWebSocket`: those of a `WebSocket`, and what becomes of its session. */
export interface ResumableEvents {
  open: Event;
  message: MessageEvent;
  error: Event;
  close: CloseEvent;
  /** The connection is lost, or could not be made; the next try is in so many ms. */
  reconnecting: CustomEvent<{ readonly attempt: number; readonly delayMs: number }>;
  /** The session goes on; so many messages had not come to the gateway and were sent again. */
  resumed: CustomEvent<{ readonly resent: number }>;
  /** The gateway has read the session from its storage after a crash: what the backend said in the last moments before may be missing. */
  restarted: CustomEvent<{ readonly restarts: number }>;
  /** The session cannot go on. Then comes `close`, or with `onLost: "reopen"` the `open` of a new one. */
  lost: CustomEvent<Lost>;
}

type Listener = ((event: Event) => void) | { handleEvent(event: Event): void };

const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3] as const;
const MAX_REASON_BYTES = 123;

/**
 * A `WebSocket` that comes back by itself: when its connection is lost it connects again and resumes its session at the gateway.
 * No message is lost, doubled or out of order, and `readyState` stays `OPEN` meanwhile. What cannot be resumed ends with the event
 * `lost`; there is never a fresh session that looks like the old one.
 *
 * Wants a route of the gateway with `webSocket: { mode: "held" }`; elsewhere it is a plain WebSocket that can be lost. In any browser,
 * and in Node from 22 on.
 */
export class ResumableWebSocket extends EventTarget {
  static readonly CONNECTING = CONNECTING;
  static readonly OPEN = OPEN;
  static readonly CLOSING = CLOSING;
  static readonly CLOSED = CLOSED;
  readonly CONNECTING = CONNECTING;
  readonly OPEN = OPEN;
  readonly CLOSING = CLOSING;
  readonly CLOSED = CLOSED;

  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;

  readonly #url: URL;
  readonly #protocols: string | string[];
  readonly #settings: Settings;
  #binaryType: "blob" | "arraybuffer" = "blob";
  #readyState: 0 | 1 | 2 | 3 = CONNECTING;
  #link: Link;

  /** Connects at once. @throws DOMException `SyntaxError` where a `WebSocket` would. */
  constructor(url: string | URL, protocols: string | string[] = [], options: ResumableOptions = {}) {
    super();
    this.#url = new URL(url, pageUrl());
    this.#url.protocol = this.#url.protocol.replace(/^http/, "ws");
    if (!/^wss?:$/.test(this.#url.protocol) || this.#url.hash !== "") {
      throw new DOMException(`got ${this.#url.href}, wanted ws:, wss:, http: or https: and no fragment`, "SyntaxError");
    }
    this.#protocols = protocols;
    this.#settings = settingsOf(options, isForeign(this.#url));
    this.addEventListener("open", (event) => this.onopen?.(event));
    this.addEventListener("message", (event) => this.onmessage?.(event));
    this.addEventListener("error", (event) => this.onerror?.(event));
    this.addEventListener("close", (event) => this.onclose?.(event));
    this.#link = this.#connect();
  }

  get url(): string {
    return this.#url.href;
  }

  get readyState(): 0 | 1 | 2 | 3 {
    return this.#readyState;
  }

  get protocol(): string {
    return this.#link.spoken.protocol;
  }

  get extensions(): string {
    return this.#link.spoken.extensions;
  }

  /** Bytes that are not sent yet; while there is no connection, of all that the gateway is not known to have. */
  get bufferedAmount(): number {
    return this.#link.bufferedAmount;
  }

  get binaryType(): "blob" | "arraybuffer" {
    return this.#binaryType;
  }

  set binaryType(type: "blob" | "arraybuffer") {
    this.#binaryType = type;
    this.#link.setBinaryType(type);
  }

  /**
   * Sends a message, or keeps it until there is a connection again. Where there is no room to keep it the session is lost.
   *
   * @throws DOMException `InvalidStateError` before `open`.
   */
  send(data: Sendable | ArrayBufferView): void {
    if (this.#readyState === CONNECTING) throw new DOMException("not open yet", "InvalidStateError");
    if (this.#readyState !== OPEN) return;
    const message = kept(data);
    this.#link.send(message, sizeOf(message));
  }

  /** Ends the session. Without a connection that is at once, and not clean: the gateway only learns of it when it has waited. */
  close(code?: number, reason?: string): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
      throw new DOMException(`got ${code}, wanted 1000 or 3000 to 4999`, "InvalidAccessError");
    }
    if (reason !== undefined && utf8Length(reason) > MAX_REASON_BYTES) {
      throw new DOMException(`wanted a reason of at most ${MAX_REASON_BYTES} bytes`, "SyntaxError");
    }
    if (this.#readyState >= CLOSING) return;
    this.#readyState = CLOSING;
    this.#link.close(code, reason);
  }

  /** Connects anew, now, and resumes: for who knows better than this that the network has changed. */
  reconnect(): void {
    this.#link.reconnect();
  }

  override addEventListener<Type extends keyof ResumableEvents>(
    type: Type,
    listener: ((event: ResumableEvents[Type]) => void) | null,
    options?: boolean | { once?: boolean; passive?: boolean; capture?: boolean; signal?: AbortSignal },
  ): void;
  override addEventListener(type: string, listener: Listener | null, options?: boolean | { once?: boolean }): void;
  override addEventListener(type: string, listener: Listener | null, options?: boolean | { once?: boolean }): void {
    if (listener !== null) super.addEventListener(type, listener, options);
  }

  #connect(): Link {
    const settings = { ...this.#settings, binaryType: this.#binaryType };
    return createLink(this.#url, this.#protocols, settings, {
      opened: () => {
        this.#readyState = OPEN;
        this.dispatchEvent(new Event("open"));
      },
      message: (data, origin) => {
        // As a WebSocket: what comes after `close` is not shown.
        if (this.#readyState === OPEN) this.dispatchEvent(new MessageEvent("message", { data, origin }));
      },
      reconnecting: (attempt, delayMs) => this.#tell("reconnecting", { attempt, delayMs }),
      resumed: (resent) => this.#tell("resumed", { resent }),
      restarted: (restarts) => this.#tell("restarted", { restarts }),
      lost: (lost) => this.#lost(lost),
      ended: (code, reason, wasClean) => this.#ended(code, reason, wasClean),
    });
  }

  #lost(lost: Lost): void {
    const isWanted = this.#readyState === OPEN && this.#settings.onLost === "reopen";
    if (isWanted) this.#readyState = CONNECTING;
    this.#tell("lost", lost);
    if (!isWanted) this.#ended(lost.code, lost.reason, false);
    // Whoever was told may have closed it.
    else if (this.#readyState === CONNECTING) this.#link = this.#connect();
  }

  #ended(code: number, reason: string, wasClean: boolean): void {
    this.#readyState = CLOSED;
    if (!wasClean) this.dispatchEvent(new Event("error"));
    this.dispatchEvent(closeEvent({ code, reason, wasClean }));
  }

  #tell(type: string, detail: object): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** As it is now: a buffer may be written to as soon as it is sent. */
function kept(data: Sendable | ArrayBufferView): Sendable {
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice().buffer;
  }
  if (typeof data === "string" || data instanceof Blob) return data;
  return data.slice(0);
}

function sizeOf(message: Sendable): number {
  if (typeof message === "string") return utf8Length(message);
  return message instanceof Blob ? message.size : message.byteLength;
}
