import type { Config, ConfigWarning } from "../config-types.ts";
import { warning } from "../document/warning.ts";

/** What `deduplication` says that has no effect. */
export function deduplicationWarnings({ routes, backends }: Config): readonly ConfigWarning[] {
  return routes.flatMap(({ deduplication, backend }, index) =>
    deduplication !== undefined && backends.get(backend)?.sticky?.by === "cookie"
      ? [
          warning(
            ["routes", index, "deduplication"],
            "nothing is shared: the backend binds clients by a cookie, so that each response is one client's",
          ),
        ]
      : [],
  );
}
