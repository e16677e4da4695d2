// First: what it counts must not have been made yet.
import { tableSizes } from "./count-tables.ts";
import worker from "../../worker/index.ts";

export * from "../../worker/index.ts";

/** The shipped Worker; `X-Test-Control: tables` asks an isolate how much it holds. */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    if (request.headers.get("x-test-control") !== "tables") return worker.fetch(request, env, ctx);
    return Response.json(tableSizes());
  },
} satisfies ExportedHandler<Env>;
