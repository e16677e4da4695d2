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
  const [, wildcard = "", name = "", port = ""] = /^(\*\.)?(\[[^\]]+\]|[^*/?#@\\\s:]+)(:\d{1,5})?$/.exec(written) ?? [];
  if (name === "" || Number(port.slice(1)) > 65_535 || !URL.canParse(`http://${name}`)) return undefined;
  const { hostname } = new URL(`http://${name}`);
  const isAddress = /^\[|(^|\.)\d+$/.test(hostname);
  if (hostname.endsWith(".") || (wildcard !== "" && isAddress)) return undefined;
  return `${wildcard}${hostname}${port}`;
}
