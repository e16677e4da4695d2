import type { Backend, StickyPolicy } from "../../schemas/index.ts";
import { readCookie, withoutCookie } from "../cookie.ts";
import type { Exchange } from "../exchange.ts";
import { namingSecret } from "../limits/client-address.ts";
import type { ChosenTarget } from "./choice.ts";
import { stickyTokens, type Binding } from "./sticky-token.ts";

/** Keeps the clients of a backend with the target that each met first, by a signed token that the client brings along. */
export interface Sticky {
  /** What the client's token says; undefined: it has none that is ours. */
  bindingOf(exchange: Exchange): Binding | undefined | Promise<Binding | undefined>;
  /** The index of the target that a binding is to; -1: it is over, or the target gone. `load` has to come first. */
  indexOf(binding: Binding | undefined, now: number): number;
  /** Whether a binding that is kept should be made anew, so that a client that keeps coming keeps its target. */
  isAging(binding: Binding, now: number): boolean;
  /** What binds the client to a target, once it has answered. */
  bindTo(index: number, exchange: Exchange, now: number): Bind | Promise<Bind>;
  /** Makes what the others need, at an isolate's first use; undefined: it is there. */
  load(env: Env): Promise<void> | undefined;
  readonly strip: (headers: Headers) => void;
}

type Bind = NonNullable<ChosenTarget["bind"]>;

/** Tokens of one target that are made within a sixteenth of their time are the same, so that few have to be signed and verified. */
const STEPS = 16;

const compiled = new WeakMap<Backend, Sticky>();

/** How a backend keeps its clients: the same value for all its routes, so that what one has signed is there for the others. */
export function stickyOf(policy: StickyPolicy, backend: Backend): Sticky {
  const known = compiled.get(backend);
  if (known !== undefined) return known;
  const sticky = compileSticky(policy, backend);
  compiled.set(backend, sticky);
  return sticky;
}

/** Tokens are of the backend's name and the target's URL, so that they outlast a configuration. */
function compileSticky({ by, name, ttlMs }: StickyPolicy, { name: backend, targets }: Backend): Sticky {
  const stepMs = Math.max(1, Math.ceil(ttlMs / STEPS));
  const issued: ({ readonly expiresAt: number; readonly token: string } | undefined)[] = [];
  let tags: readonly string[] | undefined;

  function tokenOf({ fields }: Exchange): string | null {
    return by === "cookie" ? readCookie(fields.endToEnd.get("cookie"), name) : fields.endToEnd.get(name);
  }

  function binder(token: string, { client }: Exchange): Bind {
    return ({ status, headers }) => {
      // A target that fails is nothing to be kept with; the next answer binds.
      if (status >= 500) return;
      if (by === "header") headers.set(name, token);
      else headers.append("set-cookie", `${name}=${token}; ${attributes(client.scheme)}`);
    };
  }

  /** No `Domain`: the host alone. Path "/": a client has one target of a backend, whichever route leads there. */
  function attributes(scheme: "http" | "https"): string {
    const age = ttlMs === 0 ? "" : `Max-Age=${Math.ceil(ttlMs / 1_000)}; `;
    return `Path=/; ${age}HttpOnly; SameSite=Lax${scheme === "https" ? "; Secure" : ""}`;
  }

  return {
    bindingOf(exchange) {
      const token = tokenOf(exchange);
      return token === null ? undefined : stickyTokens(namingSecret(exchange.env)).read(token);
    },
    indexOf(binding, now) {
      return binding === undefined || tags === undefined || binding.expiresAt <= now ? -1 : tags.indexOf(binding.tag);
    },
    isAging({ expiresAt }, now) {
      return ttlMs > 0 && expiresAt - now < ttlMs / 2;
    },
    bindTo(index, exchange, now) {
      const expiresAt = ttlMs === 0 ? Infinity : Math.ceil((now + ttlMs) / stepMs) * stepMs;
      const made = issued[index];
      if (made?.expiresAt === expiresAt) return binder(made.token, exchange);
      const tag = tags?.[index];
      if (tag === undefined) throw new Error(`backend ${backend} has no target ${index} to bind to`);
      return stickyTokens(namingSecret(exchange.env))
        .issue({ tag, expiresAt })
        .then((token) => {
          issued[index] = { expiresAt, token };
          return binder(token, exchange);
        });
    },
    load(env) {
      if (tags !== undefined) return undefined;
      const tokens = stickyTokens(namingSecret(env));
      return Promise.all(targets.map(({ url }) => tokens.tagOf(backend, url))).then((made) => {
        tags = made;
      });
    },
    strip(headers) {
      if (by === "header") return headers.delete(name);
      const field = headers.get("cookie");
      if (field === null || !field.includes(name)) return;
      const rest = withoutCookie(field, name);
      if (rest === "") headers.delete("cookie");
      else headers.set("cookie", rest);
    },
  };
}
