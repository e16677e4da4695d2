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
  const slashesDecoded = path.replace(/%2f|%5c|\\/gi, "/");
  const decodedOnce = decodeEscapes(LOOKALIKES.reduce((text, [look, plain]) => text.replace(look, plain), path));
  const decodedTwice = decodeEscapes(decodedOnce);
  const views = new Set<string>();
  for (const reading of [path, slashesDecoded, decodedOnce, decodedTwice]) {
    const separated = reading.replaceAll("\\", "/");
    const withoutParameters = separated.replace(/;[^/]*/g, "");
    for (const form of [separated, withoutParameters]) {
      views.add(resolveDots(form));
      views.add(resolveDots(form.replace(/\/{2,}/g, "/")));
      views.add(resolveDots(form).replace(/\/{2,}/g, "/"));
    }
  }
  views.delete(path);
  return [...views];
}

function decodeEscapes(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Resolves "." and ".." segments, encoded or not (RFC 3986 5.2.4). */
function resolveDots(path: string): string {
  const output: string[] = [];
  const segments = path.split("/");
  segments.forEach((segment, index) => {
    const plain = segment.replace(/%2e/gi, ".");
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
