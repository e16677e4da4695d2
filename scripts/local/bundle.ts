import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

import { buildSync, type OutputFile } from "esbuild";

import { StartError } from "./start-error.ts";

/** The entry that ships. */
export const workerEntry = fileURLToPath(new URL("../../worker/index.ts", import.meta.url));

/** One ES module that holds the Worker and everything it imports. */
export interface Bundle {
  readonly code: string;
  readonly bytes: number;
}

/** How to bundle. */
export interface BundleOptions {
  /** As `wrangler deploy` does, which uploads a source map beside it. Default false, so that stacks of a local run read well. */
  readonly minify?: boolean;
}

/**
 * Bundles a Worker in memory from the modules that `wrangler deploy` would take, without Node's. Throws StartError with
 * every problem when it does not build.
 */
export function bundleWorker(entry: string = workerEntry, { minify = false }: BundleOptions = {}): Bundle {
  const [file] = build(entry, minify);
  if (file === undefined) throw new StartError(`${entry} builds to nothing`);
  return { code: file.text, bytes: file.contents.byteLength };
}

/** The size that Cloudflare's upload limit and our budget count, in bytes. */
export async function gzipSize(bundle: Bundle): Promise<number> {
  const packed = await promisify(gzip)(bundle.code, { level: 9 });
  return packed.byteLength;
}

function build(entry: string, minify: boolean): readonly OutputFile[] {
  try {
    // Synchronous, because the other way keeps a process of esbuild's for as long as the gateway runs.
    return buildSync({
      entryPoints: [entry],
      bundle: true,
      minify,
      write: false,
      format: "esm",
      target: "es2024",
      platform: "neutral",
      mainFields: ["module", "main"],
      conditions: ["workerd", "worker", "browser"],
      external: ["cloudflare:*"],
      // The extensions that wrangler imports as text without being told.
      loader: { ".html": "text", ".txt": "text", ".sql": "text" },
      logLevel: "silent",
    }).outputFiles;
  } catch (error) {
    throw new StartError(`${entry} does not build: ${error instanceof Error ? error.message : String(error)}`);
  }
}
