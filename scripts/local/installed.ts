import { existsSync } from "node:fs";

/** The nginx of this machine, where Linux distributions and Homebrew put it; undefined when there is none. */
export const nginxBinary = found([
  "/usr/sbin/nginx",
  "/usr/bin/nginx",
  "/usr/local/bin/nginx",
  "/opt/homebrew/bin/nginx",
]);

/** The Varnish of this machine; undefined when there is none. */
export const varnishBinary = found(["/usr/sbin/varnishd", "/usr/local/sbin/varnishd", "/opt/homebrew/sbin/varnishd"]);

function found(places: readonly string[]): string | undefined {
  return places.find((path) => existsSync(path));
}
