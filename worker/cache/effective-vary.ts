import { varyOf, type Vary } from "../../objects/dedup/variant.ts";
import type { FieldReader } from "./fields.ts";

/**
 * What a response varies by: what it says, and what it forgets to say. Coded bytes are for those who can read them; what is allowed to one
 * origin of pages is not to another, and an attacker who asked first would have shut all others out.
 */
export function effectiveVary(fields: FieldReader): Vary {
  const said = varyOf(fields.get("vary"));
  if (said === "*") return said;
  const names = new Set(said);
  if (fields.get("content-encoding") !== null) names.add("accept-encoding");
  const allowed = fields.get("access-control-allow-origin");
  if (allowed !== null && allowed.trim() !== "*") names.add("origin");
  return [...names].sort();
}
