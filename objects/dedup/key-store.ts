import { UNUSED, type KeyState } from "./idempotency.ts";
import type { KeptAnswer } from "./idempotency-messages.ts";

/** A key and whose claim is the latest. */
export interface ClaimedKey {
  readonly state: KeyState;
  /** Empty: there was none. */
  readonly claim: string;
}

/** What one owner of a key has in its SQLite storage: one row with what is known, and the answer once there is one. */
export interface KeyStore {
  /** What an earlier instance stored; undefined: it cannot be read. */
  load(): ClaimedKey | undefined;
  /** Writes what is known, in place of what was; `answer` goes with the outcome that it belongs to. */
  save(key: ClaimedKey, answer: KeptAnswer | null): void;
  /** The answer that is kept. Throws when there is none. */
  answer(): KeptAnswer;
  /** Forgets everything, the alarm as well. */
  erase(): Promise<void>;
}

const FIND = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'idempotency'";
const CREATE =
  "CREATE TABLE idempotency (id INTEGER PRIMARY KEY CHECK (id = 1), kind TEXT NOT NULL, claim TEXT NOT NULL, fingerprint TEXT NOT NULL, expires_at INTEGER NOT NULL, run TEXT NOT NULL, attempt INTEGER NOT NULL, deadline INTEGER NOT NULL, is_kept INTEGER NOT NULL, status INTEGER, status_text TEXT, headers TEXT, body BLOB) STRICT";
const READ = "SELECT kind, claim, fingerprint, expires_at, run, attempt, deadline, is_kept FROM idempotency";
const WRITE = "INSERT OR REPLACE INTO idempotency VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const READ_ANSWER = "SELECT status, status_text, headers, body FROM idempotency WHERE status IS NOT NULL";

/** Opens the storage of a key's owner. */
export function openKeyStore(storage: DurableObjectStorage): KeyStore {
  const { sql } = storage;
  let exists = sql.exec(FIND).toArray().length > 0;

  return {
    load() {
      const [row] = exists ? sql.exec<KeyRow>(READ).toArray() : [];
      if (row === undefined) return { state: UNUSED, claim: "" };
      const state = stateOf(row);
      return state === undefined ? undefined : { state, claim: row.claim };
    },
    save({ state, claim }, answer) {
      if (state.kind === "unused") throw new Error("what nobody has used is not stored");
      if (!exists) sql.exec(CREATE);
      exists = true;
      const { kind, fingerprint, expiresAt } = state;
      const { run, attempt, deadline } = { run: "", attempt: 0, deadline: 0, ...state };
      const isKept = kind === "done" && state.isKept ? 1 : 0;
      const headers = answer === null ? null : JSON.stringify(answer.headers);
      const kept = [answer?.status ?? null, answer?.statusText ?? null, headers, answer?.body ?? null];
      sql.exec(WRITE, kind, claim, fingerprint, expiresAt, run, attempt, deadline, isKept, ...kept);
    },
    answer() {
      const [row] = sql.exec<AnswerRow>(READ_ANSWER).toArray();
      if (row === undefined) throw new Error("the key has an answer, and its row has none");
      const headers: KeptAnswer["headers"] = JSON.parse(row.headers);
      return { status: row.status, statusText: row.status_text, headers, body: row.body };
    },
    async erase() {
      exists = false;
      await storage.deleteAll();
    },
  };
}

interface KeyRow extends Record<string, SqlStorageValue> {
  readonly kind: string;
  readonly claim: string;
  readonly fingerprint: string;
  readonly expires_at: number;
  readonly run: string;
  readonly attempt: number;
  readonly deadline: number;
  readonly is_kept: number;
}

interface AnswerRow extends Record<string, SqlStorageValue> {
  readonly status: number;
  readonly status_text: string;
  readonly headers: string;
  readonly body: ArrayBuffer | null;
}

function stateOf(row: KeyRow): KeyState | undefined {
  const { kind, fingerprint, expires_at: expiresAt, run, attempt, deadline, is_kept } = row;
  switch (kind) {
    case "in-flight":
      return { kind, fingerprint, expiresAt, run, attempt, deadline };
    case "done":
      return { kind, fingerprint, expiresAt, isKept: is_kept === 1 };
    case "unknown":
      return { kind, fingerprint, expiresAt, attempt };
    default:
      return undefined;
  }
}
