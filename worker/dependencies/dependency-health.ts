/** What an isolate remembers of something it depends on that failed. Nothing is remembered of what answers. */
export interface DependencyHealth {
  /** Failed calls since `since`. */
  readonly errors: number;
  readonly since: number;
  /** It is left alone until then. */
  readonly pausedUntil: number;
  /** How long the pause is or was; 0: there was none since it answered last. */
  readonly pauseMs: number;
  /** The one call after a pause, which tells whether it is over, is under way. */
  readonly isProbing: boolean;
}

/** What failed so often within a second is dead as far as requests can wait for it. */
const MAX_ERRORS = 3;
const ERROR_WINDOW_MS = 1_000;
/** A pause is a second; each that ends with a failure doubles the next, up to this. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 5_000;
/** After so long without a word a probe counts as lost, and the next call is one. */
const PROBE_MS = 1_000;

/** Whether it may be called now; after a pause one call at a time may, and the health says that it is under way. */
export function mayCall(health: DependencyHealth, now: number): DependencyHealth | undefined {
  if (now < health.pausedUntil) return undefined;
  return health.pauseMs === 0 ? health : { ...health, pausedUntil: now + PROBE_MS, isProbing: true };
}

/**
 * What to remember after a call that failed or took too long. After three within a second it is left alone for 1 to 5 s,
 * so that what is dead does not cost every request its deadline; at once when it said that it is overloaded.
 *
 * @param health undefined: it answered last.
 */
export function afterFailure(
  health: DependencyHealth | undefined,
  isOverloaded: boolean,
  now: number,
): DependencyHealth {
  if (health?.isProbing === true) return paused(health, Math.min(LONGEST_PAUSE_MS, health.pauseMs * 2), now);
  // Made before the pause: it is known already.
  if (health !== undefined && now < health.pausedUntil) return health;
  const isRecent = health !== undefined && now - health.since < ERROR_WINDOW_MS;
  const { errors, since, pauseMs } = isRecent ? health : { errors: 0, since: now, pauseMs: health?.pauseMs ?? 0 };
  const counted = { errors: errors + 1, since, pausedUntil: -Infinity, pauseMs, isProbing: false };
  return isOverloaded || counted.errors >= MAX_ERRORS ? paused(counted, FIRST_PAUSE_MS, now) : counted;
}

function paused(health: DependencyHealth, pauseMs: number, now: number): DependencyHealth {
  return { ...health, pausedUntil: now + pauseMs, pauseMs, isProbing: false };
}
