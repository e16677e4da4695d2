/** A table that the object's alarm sweeps. */
export interface Swept {
  /** Drops what may go; when the last of what stays may, in ms since the epoch (0: nothing stays). */
  sweep(): Promise<number>;
  isEmpty(): boolean;
  wasDropped(): void;
}

/** Work that an alarm repeats until it is done. */
export interface Errand {
  /** Never rejects. */
  run(): Promise<void>;
  /** When to run again, in ms since the epoch; undefined: it is done. */
  nextAt(now: number): number | undefined;
}

/** What an object has to do at some time, over its one alarm. */
export interface Housekeeping {
  /** Reads the alarm that an earlier instance set; before anything else. */
  start(): Promise<void>;
  /** A row was written that may go then: sets an alarm unless there is one. */
  onStored(forgettableAt: number, now: number): void;
  /** There is an errand to run at that time at the latest. */
  wakeAt(at: number): void;
  /** To be called by the object's alarm. Rejects when storage fails; the runtime then repeats it. */
  alarm(): Promise<void>;
}

/** A sweep costs a request and a written row: not more often than this for a busy object ... */
const MIN_SWEEP_GAP_MS = 60_000;
/** ... and at least this often where one client's quota of a month would keep everyone else's rows. */
const MAX_SWEEP_GAP_MS = 3_600_000;

/** Sweeps all tables by alarm, runs the errand, and with the last row deletes all storage of the object. */
export function keepHouse(storage: DurableObjectStorage, tables: readonly Swept[], errand: Errand): Housekeeping {
  /** Undefined: no alarm is set. */
  let alarmAt: number | undefined;
  /** Undefined: not known, because the instance is new. */
  let sweepAt: number | undefined;
  /** The alarm was brought forward for an errand: the sweep, which reads every row, can wait for its time. */
  let isForErrand = false;

  function set(at: number): void {
    alarmAt = at;
    // Not awaited: it commits together with the row, and the output gate waits for both.
    void storage.setAlarm(at);
  }

  async function sweep(): Promise<number> {
    let latest = 0;
    for (const table of tables) latest = Math.max(latest, await table.sweep());
    return sweepTime(latest, Date.now());
  }

  return {
    async start() {
      alarmAt = (await storage.getAlarm()) ?? undefined;
    },
    onStored(forgettableAt, now) {
      if (alarmAt !== undefined) return;
      sweepAt = sweepTime(forgettableAt, now);
      set(sweepAt);
    },
    wakeAt(at) {
      if (alarmAt !== undefined && at >= alarmAt) return;
      isForErrand = true;
      set(at);
    },
    async alarm() {
      try {
        await errand.run();
        if (!isForErrand || sweepAt === undefined || Date.now() >= sweepAt) sweepAt = await sweep();
        if (!tables.every((table) => table.isEmpty())) {
          const errandAt = errand.nextAt(Date.now());
          isForErrand = errandAt !== undefined && errandAt < sweepAt;
          set(Math.min(sweepAt, errandAt ?? Infinity));
          return;
        }
      } catch (error) {
        // The runtime repeats a failed alarm a few times only; after that the next write has to set one.
        alarmAt = undefined;
        throw error;
      }
      for (const table of tables) table.wasDropped();
      alarmAt = undefined;
      sweepAt = undefined;
      isForErrand = false;
      await storage.deleteAll();
    },
  };
}

function sweepTime(forgettable: number, now: number): number {
  return Math.min(Math.max(forgettable, now + MIN_SWEEP_GAP_MS), now + MAX_SWEEP_GAP_MS);
}
