import { forward, type BenchEnv } from "./forward.ts";

/** The yardstick: a Worker that forwards and does nothing else. */
export default { fetch: forward } satisfies ExportedHandler<BenchEnv>;
