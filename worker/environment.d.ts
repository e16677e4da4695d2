/**
 * Bindings and secrets that a deployment may or may not have. What wrangler.jsonc declares is generated into
 * worker-configuration.d.ts; these are the optional rest, so a step that uses one must say what happens without it.
 */
interface __BaseEnv_Env {
  /** The configuration document as text, given to `npm start --config`; wins over KV. */
  readonly SLUICE_CONFIG?: string;
  /** Version of SLUICE_CONFIG: an integer that never goes down from one start to the next. */
  readonly SLUICE_CONFIG_VERSION?: string;
  /** Configuration under the key `config`, JSON or JSONC. */
  readonly PROXY_CONFIG?: KVNamespace;
  /** Tier of the cache for what is small and hot; without it the others do. */
  readonly PROXY_CACHE?: KVNamespace;
  /** Tier of the cache for all else; without it the others do. */
  readonly CACHE_BUCKET?: R2Bucket;
  /** Admin token; without it (and without the alias ADMIN_KEY) the admin API answers 404. */
  readonly SLUICE_ADMIN_TOKEN?: string;
  readonly ADMIN_KEY?: string;
  /** Secret behind the names of objects and the handles of clients. */
  readonly NAMING_SECRET?: string;
  /** Rate-limit binding: counts unknown clients by address before their owners are asked. Approximate, per location. */
  readonly SHIELD?: RateLimit;
}
