import type { CanaryVariant } from "../../schemas/index.ts";
import { CONTROL } from "../../schemas/policies/canary.ts";
import { FIRST_SEED, fractionOf, stableHash } from "../stable-hash.ts";
import { layOutBands, variantAt } from "./variant-bands.ts";

/** What has become of a release: part of what its owner tells every isolate. */
export interface ReleaseVerdict {
  /** Gets all clients. */
  readonly promoted: string | null;
  /** Get nobody, not even those who ask for them. */
  readonly aborted: readonly string[];
}

/** Which variant a request gets. Made when the release is compiled: a request allocates none. */
export interface VariantChoice {
  /** 0 is the control, the others follow as the policy has them. */
  readonly index: number;
  readonly name: string;
  /** Whether it is in the release's statistics: who was not drawn by lot says nothing of the others. */
  readonly counts: boolean;
}

/** A release that requests can be asked about. */
export interface CompiledRelease {
  /** The control first. */
  readonly names: readonly string[];
  /**
   * The variant of a client, the same one on every isolate: asked for, else promoted, else by the share. Of an aborted one clients go to
   * the control.
   *
   * @param key tells clients apart, as limits do.
   * @param asked the value of the override header or cookie, a variant's name; null: none.
   */
  choose(key: string, asked: string | null, verdict: ReleaseVerdict): VariantChoice;
  /** In which of so many cells a client is, whatever its variant; for statistics of how clients differ. */
  cellOf(key: string, cells: number): number;
}

/** What a release is compiled from. */
export interface Release {
  readonly name: string;
  readonly variants: readonly Pick<CanaryVariant, "name" | "percent">[];
}

/** Compiles a release. */
export function compileRelease({ name, variants }: Release): CompiledRelease {
  const names = [CONTROL, ...variants.map((one) => one.name)];
  const bands = layOutBands(variants);
  // By the name, so that it isn't always the same clients on whom things are tried out.
  const seed = stableHash(name, FIRST_SEED);
  const cellSeed = stableHash("cell", seed);
  const choiceOf =
    (counts: boolean) =>
    (each: string, index: number): VariantChoice => ({ index, name: each, counts });
  const drawn = names.map(choiceOf(true));
  const given = names.map(choiceOf(false));
  const fallen = choiceOf(false)(CONTROL, 0);

  function named(wanted: string | null, aborted: readonly string[]): VariantChoice | undefined {
    return wanted === null || aborted.includes(wanted) ? undefined : given[names.indexOf(wanted)];
  }

  return {
    names,
    choose(key, asked, { promoted, aborted }) {
      const chosen = named(asked, aborted) ?? named(promoted, aborted);
      if (chosen !== undefined) return chosen;
      const share = drawn[variantAt(bands, fractionOf(stableHash(key, seed)))] ?? fallen;
      return aborted.includes(share.name) ? fallen : share;
    },
    cellOf: (key, cells) => Math.floor(cells * fractionOf(stableHash(key, cellSeed))),
  };
}
