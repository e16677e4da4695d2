import { env } from "cloudflare:workers";
import { parseConfig, type Backend } from "../../schemas/index.ts";
import type { Asked, Balancer, Choice, ChosenTarget } from "../../worker/backends/choice.ts";
import { compileBalancer } from "../../worker/backends/balancer.ts";
import type { Exchange } from "../../worker/exchange.ts";
import { readFields } from "../../worker/request-fields.ts";
import { exchangeFor } from "./exchange.ts";

export const NOW = Date.UTC(2026, 10, 22);

/** A backend as a document states it, of targets `https://a.example`, `https://b.example` and so on. */
export function backendOf(
  letters: string,
  settings: object = {},
  { name = "pool", ofTarget = () => ({}) }: { name?: string; ofTarget?: (letter: string) => object } = {},
): Backend {
  const targets = Array.from(letters, (letter) => ({ url: `https://${letter}.example`, ...ofTarget(letter) }));
  const parsed = parseConfig({
    routes: [{ id: "r", prefix: "/", backend: name }],
    backends: { [name]: { targets, ...settings } },
  });
  const backend = parsed.ok ? parsed.config.backends.get(name) : undefined;
  if (backend === undefined) throw new Error(JSON.stringify(parsed));
  return backend;
}

/** The balancer of a backend that has something to choose. */
export function balancerOf(
  backend: Backend,
  breakers: Parameters<typeof compileBalancer>[1] = backend.targets.map(() => undefined),
): Balancer {
  const balancer = compileBalancer(backend, breakers);
  if (balancer === undefined) throw new Error("this backend has nothing to choose");
  return balancer;
}

/** A request with these header fields. */
export function requestWith(headers: Record<string, string> = {}, changes: Partial<Exchange> = {}): Exchange {
  const base = exchangeFor({ prefix: "/" }, env);
  return { ...base, fields: readFields(new Headers(headers)), ...changes };
}

/** The target that is chosen; throws when there is none. */
export async function chosen(choice: Choice | Promise<Choice>): Promise<ChosenTarget> {
  const made = await choice;
  if (made.kind === "none") throw new Error(`no target: ${JSON.stringify(made)}`);
  return made;
}

export function asked(changes: Partial<Asked> = {}): Asked {
  return { tried: [], refused: [], ...changes };
}
