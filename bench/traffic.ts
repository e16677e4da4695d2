/** A subject's name and the document that it runs by. */
export interface TrafficDocument {
  readonly name: string;
  readonly document: Readonly<Record<string, unknown>>;
}

/** What a policy is written as, in its backend or its route. */
interface Written {
  readonly backend?: object;
  readonly route?: object;
}

/** Never so tight that a request waits or is refused: of a quota, an owner lends its slots ahead. */
const QUOTA = { requests: 20_000, window: "1s", burst: 20_000, maxQueue: 10_000 };
const PLACES = ["EU", "FRA", "US-TX", "continent:AS"];

const POLICIES: Readonly<Record<string, Written>> = {
  quota: { backend: { quota: QUOTA } },
  concurrency: { backend: { concurrency: { minimum: 1_000, initial: 1_000, maximum: 1_000 } } },
  geo: { route: { geo: { rules: [{ places: PLACES, backend: "other" }] } } },
  canary: { route: { canary: { variants: [{ backend: "other", percent: 5 }] } } },
  // Every copy is one request more at the origin, which counts for nobody.
  mirror: { route: { mirror: { backend: "other", percent: 10 } } },
};

/** What is done with a backend's traffic, one policy at a time, and all of them together. */
export function trafficDocuments(origin: string): readonly TrafficDocument[] {
  const targets = [{ url: `http://${origin}` }];
  const all = Object.values(POLICIES);
  return [...Object.entries(POLICIES).map(([name, policy]) => one(name, [policy])), one("traffic", all)];

  function one(name: string, policies: readonly Written[]): TrafficDocument {
    const backend: object = Object.assign({ targets }, ...policies.map((policy) => policy.backend));
    const route: object = Object.assign({ prefix: "/", backend: "origin" }, ...policies.map((policy) => policy.route));
    return { name: `sluice-${name}`, document: { routes: [route], backends: { origin: backend, other: { targets } } } };
  }
}
