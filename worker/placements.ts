import type { Route } from "../schemas/index.ts";
import type { Placement } from "./exchange.ts";

/** Wherever requests of a route may be placed; undefined is its own backend. */
export function placementsOf({ backend: own, geo, canary }: Route): readonly (Placement | undefined)[] {
  const located = new Set((geo?.rules ?? []).map(({ backend }) => backend));
  located.delete(own);
  const drawn = (canary?.variants ?? []).map(({ backend, name }): Placement => ({ backend, variant: name }));
  return [undefined, ...[...located].map((backend): Placement => ({ backend })), ...drawn];
}
