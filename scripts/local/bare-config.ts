import { storageKey, type ObjectBinding } from "./manifest.ts";
import type { Plan } from "./start-local.ts";

/** A generated workerd configuration: the text of config.capnp and, by relative path, the files that it embeds. */
export interface BareConfig {
  readonly config: string;
  readonly files: Readonly<Record<string, string>>;
}

/** The Cache API's other side in a place without a cache: every match misses, every put is dropped. */
const NO_CACHE = `
export default {
  async fetch(request) {
    await request.body?.cancel();
    if (request.method === "PUT") return new Response(null, { status: 204 });
    if (request.method === "PURGE") return new Response(null, { status: 404 });
    return new Response(null, { status: 504, headers: { "CF-Cache-Status": "MISS" } });
  },
};
`;

/** Writes the plan in workerd's own configuration language (workerd.capnp), with every value in a file of its own: nothing to escape. */
export function bareConfig(plan: Plan, objectDirectory: string): BareConfig {
  const names = plan.addresses.map((_, index) => `gateway-${index}`);
  const [owner = ""] = names;
  const variables = Object.entries(plan.variables);
  const date = text(plan.manifest.compatibilityDate);
  const worker = (name: string) => `(
    modules = [(name = "index.mjs", esModule = embed "index.mjs")],
    compatibilityDate = ${date},
    compatibilityFlags = ${list(plan.manifest.compatibilityFlags.map(text))},
    bindings = ${list([
      ...variables.map(([variable]) => `(name = ${text(variable)}, text = embed ${text(`variables/${variable}`)})`),
      ...plan.manifest.objects.map(
        ({ binding, className }) =>
          `(name = ${text(binding)}, durableObjectNamespace = (className = ${text(className)}, serviceName = ${text(owner)}))`,
      ),
    ])},
    durableObjectNamespaces = ${list(name === owner ? plan.manifest.objects.map(namespace) : [])},
    durableObjectStorage = (localDisk = "objects"),
    globalOutbound = "network",
    cacheApiOutbound = "no-cache",
  )`;
  const services = [
    ...names.map((name) => `(name = ${text(name)}, worker = ${worker(name)})`),
    `(name = "network", network = (allow = ${list(plan.allowedNetworks.map(text))}, tlsOptions = (trustBrowserCas = true)))`,
    `(name = "objects", disk = (path = ${text(objectDirectory)}, writable = true))`,
    `(name = "no-cache", worker = (modules = [(name = "no-cache.mjs", esModule = embed "no-cache.mjs")], compatibilityDate = ${date}))`,
  ];
  const sockets = names.map(
    (name, index) =>
      `(name = ${text(name)}, address = ${text(plan.addresses[index] ?? "")}, http = (), service = ${text(name)})`,
  );
  return {
    config: `using Workerd = import "/workerd/workerd.capnp";\n\nconst config :Workerd.Config = (\n  services = ${list(services)},\n  sockets = ${list(sockets)},\n);\n`,
    files: {
      "index.mjs": plan.code,
      "no-cache.mjs": NO_CACHE,
      ...Object.fromEntries(variables.map(([name, value]) => [`variables/${name}`, value])),
    },
  };
}

function namespace({ className, isEphemeral }: ObjectBinding): string {
  const kept = isEphemeral ? "ephemeralLocal = void" : `uniqueKey = ${text(storageKey(className))}, enableSql = true`;
  return `(className = ${text(className)}, ${kept})`;
}

function list(items: readonly string[]): string {
  return `[${items.join(", ")}]`;
}

/** JSON's escapes of quotes, backslashes and newlines are Cap'n Proto's too. */
function text(value: string): string {
  return JSON.stringify(value);
}
