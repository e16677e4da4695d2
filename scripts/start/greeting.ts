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
  const hello = `${url}${started.path ?? examplePath(config.routes[0])}`;
  const admin = `${url}${config.admin.prefix}/clients?by=ip&value=127.0.0.1`;
  return `
Sluice is ready in ${started.readyMs} ms

  gateway      ${urls.join("  ")}
  backend      ${started.backend}
  admin token  ${started.tokenVariable === undefined ? started.adminToken : `from ${started.tokenVariable}`}
  state        ${started.state}

Worth trying:

  curl -i ${hello}
  for i in $(seq 40); do curl -s -o /dev/null -w '%{http_code} ' ${hello}; done; echo
  ${config.admin.enabled ? `curl -s -H "Authorization: Bearer ${token}" '${admin}'` : `curl -s ${url}${config.endpoints.healthz ?? "/"}`}
`;
}

/** A path that the route matches, as far as its path goes. */
function examplePath(route: Route | undefined): string {
  if (route === undefined) return "/";
  return route.path.value.replaceAll(/:[A-Za-z_]\w*/g, "1").replaceAll("*", "");
}
