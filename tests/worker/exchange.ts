import { parseConfig } from "../../schemas/index.ts";
import { compileConfig } from "../../worker/config/compile.ts";
import type { Exchange } from "../../worker/exchange.ts";
import { readFields } from "../../worker/request-fields.ts";

/**
 * An exchange on a route `r` with these fields, by a client at 192.0.2.1 that nobody has identified.
 *
 * @param work gets what the exchange does after its answer.
 * @param document what else the configuration says.
 */
export function exchangeFor(
  route: object,
  bindings: Env,
  work: Promise<unknown>[] = [],
  document: object = {},
): Exchange {
  const parsed = parseConfig({ ...document, routes: [{ id: "r", target: "https://origin.example", ...route }] });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const active = compileConfig(parsed.config, {
    version: 1,
    source: "default",
    text: "",
    warnings: [],
    platform: "socket",
  });
  const compiled = active.routes.get("r");
  if (compiled === undefined) throw new Error("the document has a route r");
  const request = new Request("http://gateway.test/");
  return {
    request,
    canonical: { method: "GET", scheme: "http", host: "gateway.test", path: "/", query: "" },
    fields: readFields(request.headers),
    requestId: "test",
    route: compiled,
    configVersion: 1,
    client: { address: "192.0.2.1", network: "192.0.2.1", forwardedFor: "192.0.2.1", scheme: "http" },
    principal: "192.0.2.1",
    receivedAt: Date.now(),
    deadline: Date.now() + 1000,
    env: bindings,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- steps use nothing else of the context
    ctx: { waitUntil: (promise: Promise<unknown>) => void work.push(promise) } as ExecutionContext,
    responseHeaders: [],
    notes: {},
  };
}
