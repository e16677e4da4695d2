import { ACK_MESSAGES, ACK_MS } from "./resume-rules.ts";

/** When a side tells the other how many messages have come. */
export interface Acks {
  /** So many have come by now. */
  counted(count: number, now: number): void;
  /** The count to tell, as if it were told with that; undefined: nothing is due. */
  take(now: number): number | undefined;
  /** When the next is due though nothing comes; null: all is told. */
  nextAt(): number | null;
}

/** Makes acks for a side of which `told` messages are known to have come. */
export function createAcks(told: number): Acks {
  let count = told;
  let said = told;
  let since: number | null = null;
  return {
    counted(next, now) {
      count = next;
      if (count > said) since ??= now;
    },
    take(now) {
      if (since === null || (count - said < ACK_MESSAGES && now - since < ACK_MS)) return undefined;
      said = count;
      since = null;
      return count;
    },
    nextAt() {
      return since === null ? null : since + ACK_MS;
    },
  };
}
