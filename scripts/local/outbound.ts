import { type Plugin, PLUGINS, type Service } from "miniflare";

/** The network service that replaces Miniflare's own outbound Worker. */
const NETWORK = "sluice:network";

/** What is changed in the configuration that one Miniflare instance gives to workerd. */
export interface Rewiring {
  /** By Worker name: where it listens, as `host:port`. */
  readonly addresses: ReadonlyMap<string, string>;
  /** Address classes that the Workers' fetch may reach, as workerd names them. */
  readonly allowedNetworks: readonly string[];
  /** Workers whose outbound service was replaced so far; equals the keys of `addresses` once Miniflare is ready. */
  readonly rewired: Set<string>;
}

/** By state directory, the one thing an instance has that is its own and that every plugin is given. */
const rewirings = new Map<string, Rewiring>();
let wrapped = false;

/**
 * Makes the Miniflare instance with this state directory connect its Workers straight to the network, and listen on sockets
 * of ours. Miniflare routes every fetch through a Worker of its own (+100 to 130 us of CPU, measured once), and its sockets
 * let a client write `request.cf`, so an address taken from there could be forged; a plain socket tells the true peer.
 */
export function rewire(stateDirectory: string, rewiring: Rewiring): void {
  rewirings.set(stateDirectory, rewiring);
  if (wrapped) return;
  wrapped = true;
  const core: Plugin = PLUGINS.core;
  const original = core.getServices.bind(core);
  core.getServices = async (options) => {
    const made = await original(options);
    const mine = rewirings.get(options.sharedOptions.resourcePersistencePath ?? "");
    if (mine === undefined || made === undefined) return made;
    const { services, extensions, sockets } = Array.isArray(made)
      ? { services: made, extensions: [], sockets: [] }
      : made;
    const own = [...mine.addresses].map(([worker, address]) => ({
      name: `sluice:${worker}`,
      address,
      service: { name: serviceName(worker) },
      http: {},
    }));
    return {
      services: [...services.map((service) => replaceOutbound(service, mine)), networkService(mine.allowedNetworks)],
      extensions,
      sockets: [...(sockets ?? []), ...own],
    };
  };
}

/** Forgets an instance that has ended. */
export function unwire(stateDirectory: string): void {
  rewirings.delete(stateDirectory);
}

function replaceOutbound(service: Service, rewiring: Rewiring): Service {
  if (!("worker" in service) || service.worker?.globalOutbound === undefined) return service;
  for (const worker of rewiring.addresses.keys()) {
    if (service.name !== serviceName(worker)) continue;
    rewiring.rewired.add(worker);
    return { ...service, worker: { ...service.worker, globalOutbound: { name: NETWORK } } };
  }
  return service;
}

function networkService(allow: readonly string[]): Service {
  return { name: NETWORK, network: { allow: [...allow], deny: [], tlsOptions: { trustBrowserCas: true } } };
}

function serviceName(worker: string): string {
  return `core:user:${worker}`;
}
