import worker, { Dedup as SoundDedup } from "../../worker/index.ts";

export * from "../../worker/index.ts";

/** Paths whose owner is to lose its memory, once. All objects live in the first isolate, so this is one set for all of them. */
const losing = new Set<string>();

/** The shipped owner of flights, which fails when the path of what it is asked for names a fault: `/silent-...`, `/broken-...`. */
export class Dedup extends SoundDedup {
  #isWatched = false;

  override async fetch(request: Request): Promise<Response> {
    const { url }: { url: string } = await request.clone().json();
    const { pathname } = new URL(url);
    if (pathname.includes("/silent-")) return new Promise(() => {});
    if (pathname.includes("/broken-")) throw new Error("injected");
    // As when it is moved, or its code is updated.
    if (!this.#isWatched) {
      setInterval(() => {
        if (losing.delete(pathname)) this.ctx.abort("injected");
      }, 20);
    }
    this.#isWatched = true;
    return super.fetch(request);
  }
}

/** The shipped Worker. A request to the first isolate with `X-Test-Lose: PATH` makes the owner of a path's flights lose its memory. */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const path = request.headers.get("x-test-lose");
    if (path === null) return worker.fetch(request, env, ctx);
    losing.add(path);
    return new Response(null, { status: 204 });
  },
} satisfies ExportedHandler<Env>;
