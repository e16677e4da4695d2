import type { Exchange } from "../../exchange.ts";
import { NO_PURGES, type PurgeEpochs } from "../purge.ts";

/** The purges that this isolate knows of. */
export function currentEpochs(_exchange: Exchange): PurgeEpochs | Promise<PurgeEpochs> {
  return NO_PURGES;
}
