import * as v from "valibot";

const WANTED = 'a host such as "api.example.com", "api.example.com:8443" or "*.example.com"';

/**
 * A host that a route answers to: exact, or `*.` for every name below a domain (not the domain itself). Lower-cased,
 * international names as their ASCII form. Without a port any port matches.
 */
export const hostPattern = v.pipe(
  v.string(WANTED),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const host = normalise(dataset.value);
    if (host !== undefined) return host;
    addIssue({ message: WANTED });
    return NEVER;
  }),
);

function normalise(written: string): string | undefined {
  const [, wildcard = "", name = "", port = ""] = /^(\*\.)?([^*/?#@\\\s]+?)(:\d{1,5})?$/.exec(written) ?? [];
  if (name === "" || name.endsWith(".") || !URL.canParse(`http://${name}`)) return undefined;
  const url = new URL(`http://${name}`);
  if (url.port !== "" || Number(port.slice(1)) > 65_535) return undefined;
  if (wildcard !== "" && /^\[|\.\d+$|^\d+$/.test(url.hostname)) return undefined;
  return `${wildcard}${url.hostname}${port}`;
}
