/** Makes routes of an origin, each to the path that it has itself, named by it. */
export function routesTo(origin: { readonly url: string }) {
  return <R extends object>(prefix: string, rest: R) => ({
    id: prefix.slice(1),
    prefix,
    target: origin.url + prefix,
    ...rest,
  });
}
