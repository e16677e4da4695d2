import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import * as v from "valibot";

const WranglerFile = v.object({
  compatibility_date: v.string(),
  compatibility_flags: v.optional(v.array(v.string()), []),
  durable_objects: v.object({ bindings: v.array(v.object({ name: v.string(), class_name: v.string() })) }),
  exports: v.record(v.string(), v.object({ type: v.string(), storage: v.optional(v.string()) })),
  vars: v.optional(v.record(v.string(), v.string()), {}),
});

/** What the local runtime takes from wrangler.jsonc, so that a new object or flag is declared in one place. */
export interface Manifest {
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  readonly objects: readonly ObjectBinding[];
  readonly variables: Readonly<Record<string, string>>;
}

/** A Durable Object class of the Worker and the binding that reaches it. */
export interface ObjectBinding {
  readonly binding: string;
  readonly className: string;
  /** It stores nothing, so its objects have no storage, which is 186 KiB of memory each. */
  readonly isEphemeral: boolean;
}

/** Cloudflare's network has no class without storage, so the file cannot say it. */
const EPHEMERAL = new Set(["WebSocketBridge"]);

/** Reads the repository's wrangler.jsonc; throws when an object in it is not kept in SQLite, the only storage we run. */
export async function readManifest(): Promise<Manifest> {
  const file = v.parse(WranglerFile, await readWranglerFile());
  return {
    compatibilityDate: file.compatibility_date,
    compatibilityFlags: file.compatibility_flags,
    objects: file.durable_objects.bindings.map(({ name, class_name: className }) => {
      const declared = file.exports[className];
      if (declared?.type !== "durable-object" || declared.storage !== "sqlite") {
        throw new Error(
          `wrangler.jsonc binds ${name} to ${className}, wanted "${className}" under "exports" as a durable-object with sqlite`,
        );
      }
      return { binding: name, className, isEphemeral: EPHEMERAL.has(className) };
    }),
    variables: file.vars,
  };
}

/** What a wrangler.jsonc says; default that of the repository. */
export async function readWranglerFile(
  path: string = fileURLToPath(new URL("../../wrangler.jsonc", import.meta.url)),
): Promise<unknown> {
  const text = await readFile(path, "utf8");
  // JSON with comments and trailing commas is a JavaScript expression, and this file is our own code: no parser needed.
  const module: { default: unknown } = await import(
    `data:text/javascript,${encodeURIComponent(`export default ${text}`)}`
  );
  return module.default;
}

/** The key under which an object's storage lies on disk: the same in both profiles, so that either finds the other's state. */
export function storageKey(className: string): string {
  return `sluice-${className}`;
}
