import { isCount, isInteger } from "../numbers.ts";
import { parsePacked } from "../packed.ts";
import type { Health } from "./health-verdict.ts";
import type { HealthTerms } from "./target-messages.ts";
import type { PastCheck, TargetRecord } from "./target-record.ts";

/** A target's record as one short text. */
export function packTarget(record: TargetRecord): string {
  const { target, backend, configVersion, health, verdict, checks, lastCheck, isDraining, heardAt } = record;
  const { isDown, against, since } = verdict;
  return JSON.stringify({
    u: target,
    b: backend,
    v: configVersion,
    h: health === null ? null : [health.intervalMs, health.timeoutMs, health.rise, health.fall],
    d: [isDown ? 1 : 0, against, since],
    n: checks,
    l: lastCheck === null ? null : packCheck(lastCheck),
    x: isDraining ? 1 : 0,
    t: heardAt,
  });
}

/** What `packTarget` packed, or undefined when the text is not a record that this code could have written. */
export function unpackTarget(text: string): TargetRecord | undefined {
  const packed = parsePacked(text);
  if (typeof packed !== "object" || packed === null) return undefined;
  const { u: target, b: backend, v: configVersion, n: checks, t: heardAt, x, ...rest }: Packed = packed;
  const health = orNull(rest.h, unpackTerms);
  const verdict = unpackVerdict(rest.d);
  const lastCheck = orNull(rest.l, unpackCheck);
  if (health === undefined || verdict === undefined || lastCheck === undefined) return undefined;
  if (typeof target !== "string" || !(backend === null || typeof backend === "string")) return undefined;
  if (!isInteger(configVersion) || !isCount(checks) || !isInteger(heardAt)) return undefined;
  return { target, backend, configVersion, health, verdict, checks, lastCheck, isDraining: x === 1, heardAt };
}

/** The members of a packed record, as they may really be. */
interface Packed {
  readonly u?: unknown;
  readonly b?: unknown;
  readonly v?: unknown;
  readonly h?: unknown;
  readonly d?: unknown;
  readonly n?: unknown;
  readonly l?: unknown;
  readonly x?: unknown;
  readonly t?: unknown;
}

function packCheck({ at, ok, status, durationMs, detail }: PastCheck): readonly unknown[] {
  return [at, ok, status, durationMs, detail];
}

function orNull<Value>(
  packed: unknown,
  unpack: (list: readonly unknown[]) => Value | undefined,
): Value | null | undefined {
  if (packed === null) return null;
  return Array.isArray(packed) ? unpack(packed) : undefined;
}

function unpackTerms([intervalMs, timeoutMs, rise, fall]: readonly unknown[]): HealthTerms | undefined {
  if (!isCount(intervalMs) || !isCount(timeoutMs) || !isCount(rise) || !isCount(fall)) return undefined;
  return { intervalMs, timeoutMs, rise, fall };
}

function unpackVerdict(packed: unknown): Health | undefined {
  if (!Array.isArray(packed)) return undefined;
  const list: readonly unknown[] = packed;
  const [isDown, against, since] = list;
  return isCount(against) && isInteger(since) ? { isDown: isDown === 1, against, since } : undefined;
}

function unpackCheck([at, ok, status, durationMs, detail]: readonly unknown[]): PastCheck | undefined {
  if (!isInteger(at) || !(ok === null || typeof ok === "boolean")) return undefined;
  if (!(status === null || isCount(status)) || !isInteger(durationMs) || typeof detail !== "string") return undefined;
  return { at, ok, status, durationMs, detail };
}
