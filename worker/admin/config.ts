import type { AdminContext } from "./index.ts";
import { json } from "./json.ts";

/** GET /admin/config: the document that this isolate serves by, where it came from, and what in it does not act. */
export function readConfig({ active }: AdminContext): Response {
  const { version, source, text, warnings, config } = active;
  return json({ version, source, warnings, routes: config.routes.map((route) => route.id), document: text });
}
