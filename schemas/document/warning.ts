import type { ConfigWarning } from "../config-types.ts";
import { formatPath, type Path } from "./path.ts";

/** A warning about one place of a document. */
export function warning(path: Path, message: string): ConfigWarning {
  return { path: formatPath(path), message };
}
