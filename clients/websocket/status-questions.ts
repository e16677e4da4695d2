import type { Settings } from "./options.ts";
import { askStatus, type SessionStatus } from "./session-status.ts";

/** Asks what has come, of a session that goes on. */
export interface StatusQuestions {
  /** Undefined: there is no answer, or it is asked already, or was lately in vain. */
  ask(socketUrl: string): Promise<SessionStatus | undefined>;
}

/** Makes the questions of a session; one at a time. */
export function createStatusQuestions(settings: Settings): StatusQuestions {
  let isAsking = false;
  let askAgainAt = 0;
  return {
    async ask(socketUrl) {
      if (isAsking || Date.now() < askAgainAt) return undefined;
      isAsking = true;
      const status = await askStatus(socketUrl, settings);
      isAsking = false;
      if (typeof status === "object") return status;
      askAgainAt = Date.now() + settings.maxDelayMs;
      return undefined;
    },
  };
}
