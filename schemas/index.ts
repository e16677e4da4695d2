export type * from "./config-types.ts";
export { parseConfig, parseConfigText } from "./parse-config.ts";
