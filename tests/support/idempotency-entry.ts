import { Dedup as SoundDedup } from "../../objects/index.ts";
import worker from "../../worker/index.ts";
import { aroundOwner } from "./around-owner.ts";

export * from "../../worker/index.ts";

// All objects live in the first isolate, so this is one value for all of them.
let fault = "none";

/** The shipped owner of keys, which fails as it was told. */
export class Dedup extends SoundDedup {}

aroundOwner(Dedup, SoundDedup, async (_, { method, proceed }) => {
  if (fault === `${method} throws`) throw new Error("injected");
  if (fault === `${method} is lost`) {
    await proceed();
    throw new Error("injected");
  }
  if (fault === `${method} hangs`) {
    await proceed();
    return new Promise(() => {});
  }
  return proceed();
});

/** The shipped Worker. `X-Test-Dedup` to the first isolate says how owners of keys fail from now on. */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const told = request.headers.get("x-test-dedup");
    if (told === null) return worker.fetch(request, env, ctx);
    fault = told;
    return new Response(null, { status: 204 });
  },
} satisfies ExportedHandler<Env>;
