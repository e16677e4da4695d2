/** What a file's extension promises of its content: the types that attackers of caches ask for. */
const TYPES: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    css: ["text/css"],
    csv: ["text/csv", "text/plain"],
    htm: ["text/html"],
    html: ["text/html"],
    ico: ["image/"],
    js: ["text/javascript", "application/javascript", "application/x-javascript"],
    json: ["application/json"],
    map: ["application/json", "application/octet-stream"],
    md: ["text/markdown", "text/plain"],
    mjs: ["text/javascript", "application/javascript"],
    pdf: ["application/pdf"],
    svg: ["image/"],
    txt: ["text/plain"],
    wasm: ["application/wasm"],
    webmanifest: ["application/manifest+json", "application/json"],
    xml: ["text/xml", "application/xml"],
    zip: ["application/zip", "application/octet-stream"],
    ...Object.fromEntries(["avif", "gif", "jpeg", "jpg", "png", "webp"].map((name) => [name, ["image/"]])),
    ...Object.fromEntries(["otf", "ttf", "woff", "woff2"].map((name) => [name, ["font/", "application/"]])),
    ...Object.fromEntries(["mp4", "webm"].map((name) => [name, ["video/", "audio/"]])),
    ...Object.fromEntries(["mp3", "ogg", "wav"].map((name) => [name, ["audio/", "video/", "application/ogg"]])),
  }),
);

/**
 * Whether a path ends like a file of one kind and the response is of another: `/account/x.css` with a page in it, which an attacker had
 * his victim fetch so that the cache would keep it. Asked only where the origin did not say itself how long a response is fresh; and only
 * of text and of application data, since what is personal is of those types (as Cloudflare's Cache Deception Armor does).
 */
export function looksDeceptive(path: string, contentType: string | null): boolean {
  const [, extension] = /\.([a-z0-9]{1,11})$/.exec(path.toLowerCase()) ?? [];
  const promised = extension === undefined ? undefined : TYPES.get(extension);
  if (promised === undefined) return false;
  const [type = ""] = (contentType ?? "").toLowerCase().split(";");
  const given = type.trim();
  // Nothing said is nothing proved.
  if (given === "") return true;
  if (!given.startsWith("text/") && !given.startsWith("application/")) return false;
  return !given.endsWith(`+${extension}`) && !promised.some((prefix) => given.startsWith(prefix));
}
