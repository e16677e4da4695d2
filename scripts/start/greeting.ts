import type { Config, Route } from "../../schemas/index.ts";

/** What there is to say about a gateway that has just become ready. */
export interface Started {
  readonly urls: readonly string[];
  readonly config: Config;
  readonly adminToken: string;
  /** The variable that the token came from; undefined: it was made and is kept with the state. */
  readonly tokenVariable: string | undefined;
  readonly state: string;
  readonly backend: string;
  /** A path that answers 200; undefined: the first route's. */
  readonly path: string | undefined;
  readonly readyMs: number;
}

/** The text for a person: where it is, what it runs, and three commands worth trying. */
export function greeting(started: Started): string {
  const { urls, config } = started;
  const [url = ""] = urls;
  const token = started.tokenVariable === undefined ? started.adminToken : `$${started.tokenVariable}`;
  const path = started.path ?? examplePath(config.routes.find(takesPlainGet) ?? config.routes[0]);
  const hello = `${url}${path}`;
  const admin = `${url}${config.admin.prefix}/clients?by=ip&value=127.0.0.1`;
  return `
Sluice is ready in ${started.readyMs} ms

  gateway      ${urls.join("  ")}
  backend      ${started.backend}
  admin token  ${started.tokenVariable === undefined ? started.adminToken : `from ${started.tokenVariable}`}
  state        ${started.state}

Worth trying:

  curl -i ${hello}
  ${loop(urls, path)}
  ${config.admin.enabled ? `curl -s -H "Authorization: Bearer ${token}" '${admin}'` : `curl -s ${url}${config.endpoints.healthz ?? "/"}`}
`;
}

/** Forty requests, to up to four isolates in turn: one limit holds for all of them. */
function loop(urls: readonly string[], path: string): string {
  const asked = urls.slice(0, 4).map((url) => `${url}${path}`);
  const times = Math.ceil(40 / asked.length);
  return `for i in $(seq ${times}); do curl -s -o /dev/null -w '%{http_code} ' ${asked.join(" -o /dev/null ")}; done; echo`;
}

/** Whether a curl without options can meet the route. */
function takesPlainGet({ methods, hosts, headers, query, webSocket }: Route): boolean {
  if (webSocket?.required === true) return false;
  return hosts === undefined && (methods?.includes("GET") ?? true) && headers.length + query.length === 0;
}

/** A path that the route matches, as far as its path goes. */
function examplePath(route: Route | undefined): string {
  if (route === undefined) return "/";
  return route.path.value.replaceAll(/:[A-Za-z_]\w*/g, "1").replaceAll("*", "");
}
