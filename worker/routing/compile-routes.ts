import type { HeaderMatch, Route } from "../../schemas/index.ts";

/** What routing looks at. `headers` and `query` are read only when a route that reached the last stage asks for them. */
export interface RouteRequest {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  readonly headers: { get(name: string): string | null };
}

export type RouteMatch<T> =
  | { readonly kind: "found"; readonly entry: T }
  /** The path is known, the method is not; `allow` lists what would have met a route here. */
  | { readonly kind: "method-not-allowed"; readonly allow: readonly string[] }
  /** Every route names hosts and none of them is this one. */
  | { readonly kind: "misdirected" }
  | { readonly kind: "not-found" };

export interface RouteMatcher<T> {
  /** The most specific entry for a request. Costs the depth of the path, not the number of routes. */
  match(request: RouteRequest): RouteMatch<T>;
}

interface Candidate<T> {
  readonly entry: T;
  readonly route: Route;
  readonly order: number;
  readonly methods: readonly string[] | undefined;
  readonly headers: readonly CompiledField[] | undefined;
  readonly query: readonly CompiledField[] | undefined;
}

interface CompiledField {
  readonly name: string;
  readonly accepts: (value: string) => boolean;
}

/**
 * One path segment. `exact` ends here; `below` also takes everything under it (a prefix route, a trailing star).
 *
 * What a node does not have is undefined and not empty: with many routes in use a lookup waits for memory, and an empty Map
 * or list is two more places to fetch. Measured with 1,000 of 10,000 routes in turn: 1.4 instead of 1.6 times 10 routes.
 */
interface Node<T> {
  children: Map<string, Node<T>> | undefined;
  parameter: Node<T> | undefined;
  exact: Candidate<T>[] | undefined;
  below: Candidate<T>[] | undefined;
}

interface HostTree<T> {
  readonly root: Node<T>;
}

/**
 * Compiles routes into a trie of path segments per host. Precedence, most specific first: exact host, longest wildcard
 * host, any host; then at each segment a literal before a parameter before a prefix or star; then more header and query
 * conditions, a named method before any; ties go to the route written first.
 *
 * @param entries a route and what its owner wants back for it, in configuration order.
 */
export function compileRoutes<T>(entries: readonly { readonly route: Route; readonly entry: T }[]): RouteMatcher<T> {
  const exactHosts = new Map<string, HostTree<T>>();
  const wildcardHosts = new Map<string, HostTree<T>>();
  const anyHost: HostTree<T> = { root: emptyNode() };
  let hasAnyHost = false;

  entries.forEach(({ route, entry }, order) => {
    const candidate = {
      entry,
      route,
      order,
      methods: route.methods,
      headers: compileFields(route.headers),
      query: compileFields(route.query),
    };
    if (route.hosts === undefined) {
      hasAnyHost = true;
      insert(anyHost.root, candidate);
      return;
    }
    for (const host of route.hosts) {
      const isWildcard = host.startsWith("*.");
      const tree = treeOf(isWildcard ? wildcardHosts : exactHosts, isWildcard ? host.slice(1) : host);
      insert(tree.root, candidate);
    }
  });
  for (const tree of [...exactHosts.values(), ...wildcardHosts.values(), anyHost]) sortCandidates(tree.root);

  function treesFor(host: string): readonly HostTree<T>[] {
    if (exactHosts.size === 0 && wildcardHosts.size === 0) return [anyHost];
    const trees: HostTree<T>[] = [];
    const withoutPort = host.replace(/:\d+$/, "");
    const names = withoutPort === host ? [host] : [host, withoutPort];
    for (const name of names) addTree(trees, exactHosts.get(name));
    for (let dot = host.indexOf("."); dot !== -1; dot = host.indexOf(".", dot + 1)) {
      for (const name of names) addTree(trees, wildcardHosts.get(name.slice(dot)));
    }
    if (hasAnyHost) trees.push(anyHost);
    return trees;
  }

  return {
    match(request) {
      const trees = treesFor(request.host);
      if (trees.length === 0) return { kind: entries.length === 0 ? "not-found" : "misdirected" };
      const refusedMethods: Candidate<T>[] = [];
      for (const tree of trees) {
        const found = search(tree.root, request, 1, refusedMethods);
        if (found !== undefined) return { kind: "found", entry: found.entry };
      }
      if (refusedMethods.length === 0) return { kind: "not-found" };
      return { kind: "method-not-allowed", allow: allowedMethods(refusedMethods) };
    },
  };
}

function addTree<T>(trees: HostTree<T>[], tree: HostTree<T> | undefined): void {
  if (tree !== undefined) trees.push(tree);
}

function emptyNode<T>(): Node<T> {
  return { children: undefined, parameter: undefined, exact: undefined, below: undefined };
}

function treeOf<T>(trees: Map<string, HostTree<T>>, host: string): HostTree<T> {
  const known = trees.get(host);
  if (known !== undefined) return known;
  const tree = { root: emptyNode<T>() };
  trees.set(host, tree);
  return tree;
}

function insert<T>(root: Node<T>, candidate: Candidate<T>): void {
  const { kind, value } = candidate.route.path;
  const segments = value.replace(/\/+$/, "").split("/").slice(1);
  const hasStar = kind === "pattern" && segments.at(-1) === "*";
  if (hasStar) segments.pop();
  let node = root;
  for (const segment of segments) {
    if (kind === "pattern" && segment.startsWith(":")) {
      node.parameter ??= emptyNode();
      node = node.parameter;
      continue;
    }
    node.children ??= new Map();
    const child: Node<T> = node.children.get(segment) ?? emptyNode();
    node.children.set(segment, child);
    node = child;
  }
  if (kind === "prefix" || hasStar) (node.below ??= []).push(candidate);
  else (node.exact ??= []).push(candidate);
}

function sortCandidates<T>(node: Node<T>): void {
  for (const list of [node.exact, node.below]) {
    list?.sort((a, b) => conditions(b) - conditions(a) || a.order - b.order);
  }
  for (const child of node.children?.values() ?? []) sortCandidates(child);
  if (node.parameter !== undefined) sortCandidates(node.parameter);
}

function conditions<T>(candidate: Candidate<T>): number {
  const { headers, query, methods } = candidate.route;
  return 2 * (headers.length + query.length) + (methods === undefined ? 0 : 1);
}

/** Depth-first, most specific branch first. A trie has one way to each node, so no path visits a node twice. */
function search<T>(
  node: Node<T>,
  request: RouteRequest,
  from: number,
  refused: Candidate<T>[],
): Candidate<T> | undefined {
  const { path } = request;
  if (from >= path.length) {
    // A trailing slash is part of the path that is forwarded, not a segment that a route could be missing.
    return pick(node.exact, request, refused) ?? pick(node.below, request, refused);
  }
  const slash = path.indexOf("/", from);
  const end = slash === -1 ? path.length : slash;
  const segment = path.slice(from, end);
  const child = node.children?.get(segment);
  const literal = child === undefined ? undefined : search(child, request, end + 1, refused);
  if (literal !== undefined) return literal;
  if (node.parameter !== undefined && segment !== "") {
    const parameter = search(node.parameter, request, end + 1, refused);
    if (parameter !== undefined) return parameter;
  }
  return pick(node.below, request, refused);
}

function pick<T>(
  candidates: readonly Candidate<T>[] | undefined,
  request: RouteRequest,
  refused: Candidate<T>[],
): Candidate<T> | undefined {
  if (candidates === undefined) return undefined;
  for (const candidate of candidates) {
    if (!accepts(candidate, request)) continue;
    if (acceptsMethod(candidate.methods, request.method)) return candidate;
    refused.push(candidate);
  }
  return undefined;
}

function acceptsMethod(methods: readonly string[] | undefined, method: string): boolean {
  // RFC 9110 9.3.2: HEAD is GET without the body, so a route that serves GET serves it.
  return methods === undefined || methods.includes(method) || (method === "HEAD" && methods.includes("GET"));
}

function accepts<T>(candidate: Candidate<T>, request: RouteRequest): boolean {
  if (candidate.headers !== undefined) {
    for (const field of candidate.headers) {
      const value = request.headers.get(field.name);
      if (value === null || !field.accepts(value)) return false;
    }
  }
  if (candidate.query === undefined) return true;
  const parameters = new URLSearchParams(request.query);
  return candidate.query.every((field) => parameters.getAll(field.name).some((value) => field.accepts(value)));
}

function compileFields(fields: readonly HeaderMatch[]): readonly CompiledField[] | undefined {
  return fields.length === 0 ? undefined : fields.map(compileField);
}

function compileField(field: HeaderMatch): CompiledField {
  const { name } = field;
  switch (field.kind) {
    case "exact":
      return { name, accepts: (value) => value === field.value };
    case "present":
      return { name, accepts: () => true };
    case "regex": {
      const pattern = new RegExp(field.value, "u");
      return { name, accepts: (value) => pattern.test(value) };
    }
  }
}

function allowedMethods<T>(candidates: readonly Candidate<T>[]): readonly string[] {
  const allowed = new Set(candidates.flatMap(({ methods }) => methods ?? []));
  if (allowed.has("GET")) allowed.add("HEAD");
  return [...allowed].sort();
}
