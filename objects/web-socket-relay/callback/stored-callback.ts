import type { Opening } from "../opening.ts";
import type { SessionEnd } from "../session-log.ts";

/** What a session is, whatever becomes of its object. */
export interface StoredCallback {
  readonly opening: Opening;
  readonly url: string;
  readonly openedAt: number;
  readonly origin: string | null;
  readonly protocol: string | null;
  /** What the backend wants to hear with every event. */
  readonly state: string | null;
  /** How it ended; undefined: it has not. What is stored until the backend knows. */
  readonly end?: SessionEnd & { readonly reason: string; readonly sequence: number | null };
  /** How often the backend was told in vain that it has ended. */
  readonly tries: number;
}

/** What has passed. Attached to the socket, so that it lasts as long as that and costs no write. */
export interface Counts {
  /** Of the last event. */
  sequence: number;
  messagesIn: number;
  messagesOut: number;
  bytesIn: number;
  bytesOut: number;
  lastInAt: number | null;
  lastOutAt: number | null;
}

/** Nothing yet. */
export function noCounts(): Counts {
  return {
    sequence: 0,
    messagesIn: 0,
    messagesOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    lastInAt: null,
    lastOutAt: null,
  };
}

const NAME = "session";

/** The one session of an object. Confirmed later: what a crash undoes, nobody has been told of but the backend. */
export function callbackStore(storage: DurableObjectStorage): {
  read(): StoredCallback | undefined;
  write(stored: StoredCallback): void;
  wake(at: number): void;
  erase(): Promise<void>;
} {
  const unconfirmed = { allowUnconfirmed: true };
  return {
    read: () => storage.kv.get<StoredCallback>(NAME),
    write(stored) {
      void storage.put(NAME, stored, unconfirmed);
    },
    wake(at) {
      void storage.setAlarm(at, unconfirmed);
    },
    async erase() {
      await storage.deleteAlarm();
      await storage.deleteAll();
    },
  };
}
