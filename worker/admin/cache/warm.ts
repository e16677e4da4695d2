import * as v from "valibot";
import { closedObject, objectOf } from "../../../schemas/document/closed-object.ts";
import { codeOf } from "../../problem.ts";
import { readBody } from "../body.ts";
import type { AdminContext } from "../index.ts";
import { json } from "../json.ts";
import { getOf, keepingRoute } from "./keeping-route.ts";

const URLS = "1 to 50 URLs";
/** An invocation has six connections that wait for a response's head. */
const AT_ONCE = 4;
const NAME = "the name of a header field";
const VALUE = "a text of at most 1,024 characters";

const WarmBody = closedObject({
  urls: v.pipe(
    v.array(v.pipe(v.string("a URL"), v.maxLength(8_192, "a URL of at most 8,192 characters")), URLS),
    v.minLength(1, URLS),
    v.maxLength(50, URLS),
  ),
  headers: v.optional(
    objectOf(
      v.pipe(v.string(NAME), v.regex(/^[\w-]{1,64}$/, NAME)),
      v.pipe(v.string(VALUE), v.regex(/^[\x20-\x7e]{0,1024}$/, VALUE)),
      "an object of header fields",
    ),
  ),
});

/**
 * POST /admin/cache/warm {urls, headers}: sends a GET for each URL through its route, as if the operator had, so that its response is kept
 * where it may be. Limits count these requests like any other. One result a URL, failures too.
 *
 * @throws GatewayError `invalid-request` for a body that is none, or a URL that no route keeps: nothing is sent then.
 */
export async function warmCache(context: AdminContext): Promise<Response> {
  const { urls, headers } = await readBody(context.request, WarmBody);
  const asked = urls.map((url) => ({ url, keeping: keepingRoute("urls", url, context.active) }));
  const results: unknown[] = [];
  const lane = async (first: number) => {
    for (let place = first; place < asked.length; place += AT_ONCE) {
      const one = asked[place];
      if (one !== undefined) results[place] = await warm(one);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, first) => lane(first)));
  return json({ results });

  async function warm({ url, keeping }: (typeof asked)[number]): Promise<unknown> {
    const began = Date.now();
    try {
      const exchange = getOf(url, new Headers(headers), keeping, context);
      const { status, headers: got, body } = await keeping.route.handle(exchange);
      let bytes = 0;
      // Only what has come whole is kept.
      for await (const chunk of body ?? []) bytes += chunk.byteLength;
      const cacheStatus = got.get("cache-status");
      return { url, status, cache: got.get("x-cache"), cacheStatus, bytes, tookMs: Date.now() - began };
    } catch (error) {
      return { url, code: codeOf(error), tookMs: Date.now() - began };
    }
  }
}
