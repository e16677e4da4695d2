import * as v from "valibot";

const Cache = v.looseObject({ enabled: v.optional(v.boolean()) });
const Level = v.looseObject({
  cache: v.optional(Cache),
  exports: v.optional(v.record(v.string(), v.looseObject({ cache: v.optional(Cache) }))),
});
const WranglerFile = v.looseObject({
  ...Level.entries,
  previews: v.optional(Level),
  env: v.optional(v.record(v.string(), v.looseObject({ ...Level.entries, previews: v.optional(Level) }))),
});

/**
 * Where a wrangler.jsonc puts Cloudflare's Workers Cache in front of the gateway; none in a good one. There it would answer before any limit,
 * before authentication, and without hearing of a purge. Of an entrypoint behind the checks it is nobody's danger.
 *
 * @throws ValiError when the document is no wrangler configuration.
 */
export function publicCaches(document: unknown): readonly string[] {
  const { previews, env = {}, ...root } = v.parse(WranglerFile, document);
  const levels = [
    ["", root],
    ["previews.", previews],
    ...Object.entries(env).flatMap(([name, level]) => [
      [`env.${name}.`, level] as const,
      [`env.${name}.previews.`, level.previews] as const,
    ]),
  ] as const;
  return levels.flatMap(([path, level]) => {
    // What is said of the entrypoint itself comes before what is said of all.
    const own = level?.exports?.["default"]?.cache?.enabled;
    if (own !== undefined) return own ? [`${path}exports.default.cache.enabled`] : [];
    return level?.cache?.enabled === true ? [`${path}cache.enabled`] : [];
  });
}

/** What whoever deploys is told of such a place. */
export function refusal(place: string): string {
  return `wrangler.jsonc: ${place}: got true, wanted no Workers Cache on the public entrypoint: it would answer before limits and authentication; leave it out, and write "cache" on the gateway's routes`;
}
