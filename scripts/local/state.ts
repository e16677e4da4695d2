import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { StartError } from "./start-error.ts";

/** A state directory in use by this process alone. */
export interface State {
  readonly directory: string;
  /** The secret of this name: made at the first call (256 bits, 43 characters), the same ever after, readable by this user only. */
  secret(name: string): string;
  /**
   * The version of a configuration text: never less than `floor` and never less than any version given out before; the same
   * for the same text twice in a row.
   */
  configVersion(text: string, floor: number): number;
  /** Lets another process use the directory. The end of this process does so too, however it ends. */
  release(): void;
}

/** Opens a state directory, made when missing; throws StartError when another process uses it or it cannot be written. */
export function openState(directory: string): State {
  const lock = acquire(directory);
  return {
    directory,
    secret: (name) => keptSecret(join(directory, name)),
    configVersion: (text, floor) => nextVersion(join(directory, "config-version.json"), text, floor),
    release: () => {
      if (lock.isOpen) lock.close();
    },
  };
}

/**
 * Two runtimes over one directory would give one object two owners. SQLite's lock is the system's: it ends with the process,
 * a SIGKILL included, so there is never a stale one to clean up.
 */
function acquire(directory: string): DatabaseSync {
  try {
    // Secrets and clients' data: nobody else's to read.
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const lock = new DatabaseSync(join(directory, "lock.sqlite"));
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (message.includes("locked")) {
      throw new StartError(
        `${directory} is in use by another gateway: stop it, or give this one its own with --state DIR`,
      );
    }
    throw new StartError(
      `cannot use ${directory} for state (${message}): give a directory that this user can write with --state DIR`,
    );
  }
}

function keptSecret(file: string): string {
  const kept = readIfThere(file)?.trim();
  if (kept !== undefined && kept !== "") return kept;
  const made = randomBytes(32).toString("base64url");
  replace(file, `${made}\n`);
  return made;
}

function nextVersion(file: string, text: string, floor: number): number {
  const digest = createHash("sha256").update(text).digest("hex");
  const last = lastVersion(readIfThere(file));
  // A file restored from a backup, or a switch from one document to another, must not go back in time.
  const version = last?.digest === digest ? Math.max(last.version, floor) : Math.max((last?.version ?? 0) + 1, floor);
  replace(file, JSON.stringify({ version, digest }));
  return version;
}

function lastVersion(json: string | undefined): { readonly version: number; readonly digest: string } | undefined {
  if (json === undefined) return undefined;
  const { version, digest }: { version?: unknown; digest?: unknown } = JSON.parse(json);
  return typeof version === "number" && typeof digest === "string" ? { version, digest } : undefined;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** All of it or none of it, whenever the process dies. */
function replace(file: string, contents: string): void {
  const draft = `${file}.new`;
  writeFileSync(draft, contents, { mode: 0o600, flush: true });
  renameSync(draft, file);
}
