import type { Sendable } from "./copies.ts";
import { createEventHandler, type Handler } from "./event-handler.ts";
import { createLink } from "./link.ts";
import type { Link, Lost } from "./link-events.ts";
import { settingsOf, type ResumableOptions, type Settings } from "./options.ts";
import { closeEvent, isForeign, utf8Length, webSocketUrl } from "./platform.ts";
import { createRetries, type Retries } from "./retries.ts";
import { sendableOf, sizeOf } from "./sendable.ts";

export type { Lost, ResumableOptions, Sendable };

/** The events of a `ResumableWebSocket`: those of a `WebSocket`, and what becomes of its session. */
export interface ResumableEvents {
  open: Event;
  message: MessageEvent;
  error: Event;
  close: CloseEvent;
  /** The connection is lost, or could not be made, or a new session is to be opened; the next try is in so many ms. */
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
  declare static readonly CONNECTING: typeof CONNECTING;
  declare static readonly OPEN: typeof OPEN;
  declare static readonly CLOSING: typeof CLOSING;
  declare static readonly CLOSED: typeof CLOSED;
  declare readonly CONNECTING: typeof CONNECTING;
  declare readonly OPEN: typeof OPEN;
  declare readonly CLOSING: typeof CLOSING;
  declare readonly CLOSED: typeof CLOSED;

  static {
    for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
      Object.defineProperty(this, name, { value, enumerable: true });
      Object.defineProperty(this.prototype, name, { value, enumerable: true });
    }
  }

  readonly #url: URL;
  readonly #protocols: string | string[];
  readonly #settings: Settings;
  #binaryType: "blob" | "arraybuffer" = "blob";
  #readyState: 0 | 1 | 2 | 3 = CONNECTING;
  #link: Link;
  /** What loses each session as soon as it is there would else be met at once again and again. */
  readonly #reopens: Retries;
  #reopening: ReturnType<typeof setTimeout> | undefined;
  readonly #onopen = createEventHandler<Event>(this, "open");
  readonly #onmessage = createEventHandler<MessageEvent>(this, "message");
  readonly #onerror = createEventHandler<Event>(this, "error");
  readonly #onclose = createEventHandler<CloseEvent>(this, "close");
  /** Bytes that were to be sent when it was closed already, which count as a WebSocket's do. */
  #unsent = 0;

  /** Connects at once. @throws DOMException `SyntaxError` where a `WebSocket` would. */
  constructor(url: string | URL, protocols: string | string[] = [], options: ResumableOptions = {}) {
    super();
    this.#url = webSocketUrl(url);
    this.#protocols = Array.isArray(protocols) ? [...protocols] : protocols;
    this.#settings = settingsOf(options, isForeign(this.#url));
    this.#reopens = createRetries(this.#settings);
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
    return this.#link.bufferedAmount + this.#unsent;
  }

  get binaryType(): "blob" | "arraybuffer" {
    return this.#binaryType;
  }

  set binaryType(type: "blob" | "arraybuffer") {
    if (type !== "blob" && type !== "arraybuffer") return;
    this.#binaryType = type;
    this.#link.setBinaryType(type);
  }

  get onopen(): Handler<Event> {
    return this.#onopen.value;
  }

  set onopen(handler: Handler<Event>) {
    this.#onopen.value = handler;
  }

  get onmessage(): Handler<MessageEvent> {
    return this.#onmessage.value;
  }

  set onmessage(handler: Handler<MessageEvent>) {
    this.#onmessage.value = handler;
  }

  get onerror(): Handler<Event> {
    return this.#onerror.value;
  }

  set onerror(handler: Handler<Event>) {
    this.#onerror.value = handler;
  }

  get onclose(): Handler<CloseEvent> {
    return this.#onclose.value;
  }

  set onclose(handler: Handler<CloseEvent>) {
    this.#onclose.value = handler;
  }

  /**
   * Sends a message, or keeps it until there is a connection again. Where there is no room to keep it the session is lost.
   *
   * @throws DOMException `InvalidStateError` before `open`.
   */
  send(data: Sendable | ArrayBufferView): void {
    if (this.#readyState === CONNECTING) throw new DOMException("not open yet", "InvalidStateError");
    const message = sendableOf(data);
    const bytes = sizeOf(message);
    if (this.#readyState === OPEN) this.#link.send(message, bytes);
    else this.#unsent += bytes;
  }

  /** Ends the session. Without a connection that is at once, and not clean: the gateway only learns of it when it has waited. */
  close(code?: number, reason?: string): void {
    const status = code === undefined ? undefined : Math.round(code);
    if (status !== undefined && status !== 1000 && !(status >= 3000 && status <= 4999)) {
      throw new DOMException(`got ${code}, wanted 1000 or 3000 to 4999`, "InvalidAccessError");
    }
    if (reason !== undefined && utf8Length(reason) > MAX_REASON_BYTES) {
      throw new DOMException(`wanted a reason of at most ${MAX_REASON_BYTES} bytes`, "SyntaxError");
    }
    if (this.#readyState >= CLOSING) return;
    this.#readyState = CLOSING;
    clearTimeout(this.#reopening);
    this.#link.close(status, reason);
  }

  /** Connects anew, now, and resumes: for who knows better than this that the network has changed. */
  reconnect(): void {
    if (this.#reopening === undefined) this.#link.reconnect();
    else if (this.#readyState === CONNECTING) this.#open();
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

  override removeEventListener<Type extends keyof ResumableEvents>(
    type: Type,
    listener: ((event: ResumableEvents[Type]) => void) | null,
    options?: boolean | { capture?: boolean },
  ): void;
  override removeEventListener(
    type: string,
    listener: Listener | null,
    options?: boolean | { capture?: boolean },
  ): void;
  override removeEventListener(
    type: string,
    listener: Listener | null,
    options?: boolean | { capture?: boolean },
  ): void {
    if (listener !== null) super.removeEventListener(type, listener, options);
  }

  #connect(): Link {
    const settings = { ...this.#settings, binaryType: this.#binaryType };
    return createLink(this.#url, this.#protocols, settings, {
      opened: () => {
        this.#readyState = OPEN;
        this.#reopens.connected(Date.now());
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
    else if (this.#readyState === CONNECTING) this.#reopen();
  }

  #reopen(): void {
    const { attempt, delayMs } = this.#reopens.next(Date.now()) ?? { attempt: 1, delayMs: this.#settings.maxDelayMs };
    this.#reopening = setTimeout(() => this.#open(), delayMs);
    this.#tell("reconnecting", { attempt, delayMs });
  }

  #open(): void {
    clearTimeout(this.#reopening);
    this.#reopening = undefined;
    this.#link = this.#connect();
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
