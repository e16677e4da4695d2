/**
 * The cookies that are part of the key, as the `Cookie` field that is sent upstream in the place of the client's: what is keyed is what is
 * sent. In the order of the names, so that one client's order is not another entry; null where there is none of them.
 *
 * Two cookies of one name stay two: which of them an origin reads is not known.
 */
export function keyedCookies(field: string | null, names: readonly string[]): string | null {
  const pairs = (field ?? "").split(";").map((pair) => pair.trim());
  const kept = names.flatMap((name) => pairs.filter((pair) => pair.startsWith(`${name}=`)));
  return kept.length === 0 ? null : kept.join("; ");
}
