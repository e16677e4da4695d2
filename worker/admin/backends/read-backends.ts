import type { TargetStatus } from "../../../objects/circuit-breaker/target-status.ts";
import type { Backend, Target } from "../../../schemas/index.ts";
import { backendNamed } from "./found-backends.ts";
import type { AdminContext } from "../index.ts";
import { json } from "../json.ts";
import { askOwners, type Answered } from "./target-owners.ts";
import { viewDetails, viewTarget } from "./target-view.ts";
import { isWatched, UNWATCHED, watchedTargets, type Watched } from "./watched-targets.ts";

/** What owners said of their targets, by URL. Who has no owner is absent. */
type Answers = ReadonlyMap<string, Answered<TargetStatus | null>>;

/**
 * GET /admin/backends: all of the active configuration, each with its targets as their owners see them now. An owner that
 * doesn't answer is shown as `silent`, and the others are there all the same.
 */
export async function listBackends({ env, active: { config } }: AdminContext): Promise<Response> {
  const watched = watchedTargets(config);
  const answers = await statusOf(env, [...watched.keys()], watched);
  function shown(target: Target) {
    return { ...target, ...viewTarget(watched.get(target.url) ?? UNWATCHED, answers.get(target.url)) };
  }
  function listed(backend: Backend) {
    return { ...summaryOf(backend, config), targets: backend.targets.map(shown) };
  }
  return json({ backends: [...config.backends.values()].map(listed) });
}

/** GET /admin/backends/{name}: one backend, with what happened to its targets and how they are judged. */
export async function readBackend(name: string, { env, active: { config } }: AdminContext): Promise<Response> {
  const backend = backendNamed(config, name);
  const { sticky, healthCheck, retry, hedge, balance } = backend;
  const watched = watchedTargets(config);
  const urls = backend.targets.map(({ url }) => url);
  const answers = await statusOf(env, urls, watched);
  function shown(target: Target) {
    return { ...target, ...viewDetails(watched.get(target.url) ?? UNWATCHED, answers.get(target.url)) };
  }
  const settings = withNulls({ balance, sticky, healthCheck, retry, hedge });
  return json({ ...summaryOf(backend, config), settings, targets: backend.targets.map(shown) });
}

/** GET /admin/circuit-breaker-status: every breaker, by the URL that it belongs to. */
export async function listBreakers({ env, active: { config } }: AdminContext): Promise<Response> {
  const watched = watchedTargets(config);
  const urls = [...watched].filter(([, { byBreaker }]) => byBreaker).map(([url]) => url);
  const answers = await statusOf(env, urls, watched);
  function shown(target: string) {
    const { owner, problem, breaker } = viewTarget(watched.get(target) ?? UNWATCHED, answers.get(target));
    return { target, backends: backendsOf(target, config.backends), owner, problem, ...breaker };
  }
  return json({ breakers: urls.map(shown) });
}

async function statusOf(env: Env, urls: readonly string[], watched: ReadonlyMap<string, Watched>): Promise<Answers> {
  const owned = urls.filter((url) => isWatched(watched.get(url) ?? UNWATCHED));
  const answers = await askOwners<TargetStatus | null>(env, owned, (owner) => owner.status());
  return new Map(answers.map((answer, index) => [owned[index] ?? "", answer]));
}

function summaryOf({ name, balance }: Backend, { routes }: AdminContext["active"]["config"]) {
  const users = routes
    .filter((route) => [route, ...route.alternatives].some(({ backend }) => backend === name))
    .map(({ id }) => id);
  return { name, routes: users, balance: balance.algorithm };
}

function backendsOf(url: string, backends: ReadonlyMap<string, Backend>): readonly string[] {
  return [...backends.values()].filter(({ targets }) => targets.some((one) => one.url === url)).map(({ name }) => name);
}

/** JSON leaves out what is undefined; whoever reads it is to see that there is none. */
function withNulls(settings: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, value ?? null]));
}
