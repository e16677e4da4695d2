import { normaliseEscapes } from "../schemas/values/url-path.ts";

/**
 * Other readings of a path that some backend could make. A path is forwarded as it was decided about; it is refused only
 * when one of these readings would have met a different route (400 `ambiguous-path`). That blocks `/public/..%2fadmin`
 * and still lets `/projects/group%2Frepo` through, which blanket refusals of %2F do not (traefik/traefik#12395).
 */

/** Characters without which every backend reads a canonical path the same way. */
const UNUSUAL = /[%;\\]|\/\//;

/** Overlong UTF-8 and full-width forms that careless decoders take for "." and "/". */
const LOOKALIKES: readonly (readonly [RegExp, string])[] = [
  [/%c0%ae|%e0%80%ae|%ef%bc%8e/gi, "."],
  [/%c0%af|%e0%80%af|%ef%bc%8f|%c1%9c|%ef%bc%bc/gi, "/"],
];

/** Distinct alternative readings of a canonical path; empty for the ordinary path. */
export function pathViews(path: string): readonly string[] {
  if (!UNUSUAL.test(path)) return [];
  const views = new Set<string>();
  for (const form of readings(path)) {
    const read = [
      resolveDots(form),
      resolveDots(form.replace(/\/{2,}/g, "/")),
      resolveDots(form).replace(/\/{2,}/g, "/"),
    ];
    for (const view of read) views.add(asRoutesWrite(view));
  }
  views.delete(path);
  return [...views];
}

/**
 * Whether some reading of a path has more ".." than segments before them. Joined to a target's own path it would name
 * something above that target, although every reading of the whole request meets the same route.
 */
export function climbs(path: string): boolean {
  if (!UNUSUAL.test(path)) return false;
  return readings(path).some((form) => {
    let depth = 0;
    return form.split("/").some((segment) => {
      const plain = decodeDots(segment);
      // Backends that merge slashes count no empty segment, and climb soonest.
      if (plain !== "" && plain !== ".") depth += plain === ".." ? -1 : 1;
      return depth < 0;
    });
  });
}

/** What backends make of escapes, look-alikes, backslashes and path parameters; dot segments and slashes are as they come. */
function readings(path: string): readonly string[] {
  const slashesDecoded = path.replace(/%2f|%5c|\\/gi, "/");
  const decodedOnce = decodeEscapes(LOOKALIKES.reduce((text, [look, plain]) => text.replace(look, plain), path));
  const decodedTwice = decodeEscapes(decodedOnce);
  return [path, slashesDecoded, decodedOnce, decodedTwice].flatMap((reading) => {
    const separated = reading.replaceAll("\\", "/");
    return [separated, separated.replace(/;[^/]*/g, "")];
  });
}

/** Routes are looked up by their text, so a reading is spelt as the configuration spells paths: what needs escapes has them. */
function asRoutesWrite(view: string): string {
  const escaped = view.replace(
    /%(?![0-9A-Fa-f]{2})|[^\w\-.~!$&'()*+,;=:@/%]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
  return normaliseEscapes(escaped);
}

function decodeEscapes(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function decodeDots(segment: string): string {
  return segment.replace(/%2e/gi, ".");
}

/** Resolves "." and ".." segments, encoded or not (RFC 3986 5.2.4). */
function resolveDots(path: string): string {
  const output: string[] = [];
  const segments = path.split("/");
  segments.forEach((segment, index) => {
    const plain = decodeDots(segment);
    const isLast = index === segments.length - 1;
    if (plain === "..") {
      if (output.length > 1) output.pop();
      if (isLast) output.push("");
      return;
    }
    if (plain === ".") {
      if (isLast) output.push("");
      return;
    }
    output.push(segment);
  });
  const resolved = output.join("/");
  return resolved.startsWith("/") ? resolved : `/${resolved}`;
}
