/** How many checks in a row change the verdict; both integers >= 1. */
export interface HealthPolicy {
  /** Successful ones that make a target that is down healthy; default 2. */
  readonly rise: number;
  /** Failed ones that make a healthy target down; default 3. */
  readonly fall: number;
}

/** What health checks say of a target. */
export interface Health {
  readonly isDown: boolean;
  /** Checks in a row that contradicted the verdict. */
  readonly against: number;
  /** When the verdict last changed; the first time nothing is known and the target is taken for healthy. */
  readonly since: number;
}

/** A target that was never checked: healthy, since a check that has not run is no reason to send nothing. */
export function unchecked(now: number): Health {
  return { isDown: false, against: 0, since: now };
}

/** Takes in one check. One that agrees with the verdict breaks the row of those that don't. */
export function judgeCheck(health: Health, succeeded: boolean, { rise, fall }: HealthPolicy, now: number): Health {
  const contradicts = succeeded === health.isDown;
  if (!contradicts) return health.against === 0 ? health : { ...health, against: 0 };
  const against = health.against + 1;
  if (against < (health.isDown ? rise : fall)) return { ...health, against };
  return { isDown: !health.isDown, against: 0, since: now };
}
