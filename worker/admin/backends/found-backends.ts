import { nearestName } from "../../../schemas/document/nearest-name.ts";
import type { Backend, Config, Target } from "../../../schemas/index.ts";
import { GatewayError } from "../../errors.ts";

/** What `backend=` of a reset takes. */
export const BACKEND = "the name of a backend or the URL of a target, as the configuration writes it";

/** Names in one error. */
const MAX_TOLD = 20;

/** The backend of this name. @throws GatewayError `not-found` with the name that was probably meant. */
export function backendNamed({ backends }: Config, name: string): Backend {
  const backend = backends.get(name);
  if (backend !== undefined) return backend;
  throw new GatewayError("not-found", {
    detail: `Got ${JSON.stringify(name)}, wanted the name of a backend: ${oneOf([...backends.keys()], name)}`,
  });
}

/**
 * The targets that an order is for: all of a backend, or the one of this URL as the configuration writes it.
 *
 * @throws GatewayError `invalid-request` when the backend has no such target.
 */
export function targetsOf({ name, targets }: Backend, url: string | undefined): readonly Target[] {
  if (url === undefined) return targets;
  const target = targets.find((one) => one.url === url);
  if (target !== undefined) return [target];
  const urls = targets.map((one) => one.url);
  throw new GatewayError("invalid-request", {
    detail: `target: got ${JSON.stringify(url)}, wanted the URL of a target of ${name}: ${oneOf(urls, url)}`,
  });
}

/**
 * The URLs of targets by a backend's name or a target's URL, as the configuration writes it.
 *
 * @throws GatewayError `not-found` when it is neither.
 */
export function urlsMeant(config: Config, text: string): readonly string[] {
  const backend = config.backends.get(text);
  if (backend !== undefined) return backend.targets.map(({ url }) => url);
  const urls = new Set([...config.backends.values()].flatMap(({ targets }) => targets.map(({ url }) => url)));
  if (urls.has(text)) return [text];
  throw new GatewayError("not-found", {
    detail: `backend: got ${JSON.stringify(text)}, wanted ${BACKEND}: ${oneOf([...config.backends.keys(), ...urls], text)}`,
  });
}

/** A known name; with the one that was probably meant, else with all of them. */
function oneOf(known: readonly string[], written: string): string {
  const urls = known.filter(isUrl);
  const names = known.filter((one) => !isUrl(one));
  // Of two URLs a third of the letters is the same anyway.
  const nearest = isUrl(written) ? urls.find((one) => hrefOf(one) === hrefOf(written)) : nearestName(written, names);
  if (nearest !== undefined) return `did you mean ${JSON.stringify(nearest)}?`;
  if (known.length === 0) return "none is configured.";
  const rest = known.length > MAX_TOLD ? ` and ${known.length - MAX_TOLD} more` : "";
  const told = known.slice(0, MAX_TOLD).map((one) => JSON.stringify(one));
  return `one of ${told.join(", ")}${rest}.`;
}

function isUrl(text: string): boolean {
  return /^https?:/i.test(text) && URL.canParse(text);
}

/** A trailing slash, a default port or the case of a host make another text of one URL. */
function hrefOf(url: string): string {
  return new URL(url).href.replace(/\/$/, "");
}
