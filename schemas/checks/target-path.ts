import type { Config } from "../config-types.ts";
import type { Path } from "../document/path.ts";

/** Where a target of a backend is written: on the backend, or as a route's `target`. */
export function targetPath({ routes }: Config, backend: string, index: number): Path {
  const route = backend.startsWith("route:") ? routes.findIndex((one) => one.backend === backend) : -1;
  return route === -1 ? ["backends", backend, "targets", index, "url"] : ["routes", route, "target"];
}
