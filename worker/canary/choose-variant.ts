import { FIRST_SEED, fractionOf, stableHash } from "../stable-hash.ts";
import { layOutBands, sharesProblem, variantAt, type VariantBands } from "./variant-bands.ts";

/** One of the versions that a release tells clients apart by. */
export interface Variant {
  readonly name: string;
  /** Of all clients; the control, which is the first, has what the others leave, whatever is said here. */
  readonly percent: number;
}

/** Versions that are tried out side by side. */
export interface Release {
  /** Another one draws other clients, so that it isn't always the same on whom things are tried out. */
  readonly name: string;
  /** The control first. */
  readonly variants: readonly [Variant, ...Variant[]];
  /** By the value of the header or cookie that asks for a variant, its name; a value may be hard to guess. */
  readonly overrides: ReadonlyMap<string, string>;
  /** All get this one, whatever the release's state or the client says; undefined: nobody is forced. */
  readonly forced: string | undefined;
}

/** What has become of a release: part of what its owner tells every isolate. */
export interface ReleaseVerdict {
  /** Gets all clients. */
  readonly promoted: string | null;
  /** Get nobody, not even those who ask for them. */
  readonly aborted: readonly string[];
}

/** Which variant a request gets. Made when the release is compiled: a request allocates none. */
export interface VariantChoice {
  /** In the release's list; 0 is the control. */
  readonly index: number;
  readonly name: string;
  readonly why: ChoiceReason;
  /** Whether it is in the release's statistics: who was not drawn by lot says nothing of the others. */
  readonly counts: boolean;
}

type ChoiceReason = "share" | "override" | "forced" | "promoted" | "aborted";

/** A release that requests can be asked about. */
export interface CompiledRelease {
  /**
   * The variant of a client, the same one on every isolate: forced, then asked for, then promoted, then by the share. Of an aborted one
   * clients go to the control.
   *
   * @param key tells clients apart, as limits do.
   * @param asked the value of the override header or cookie; null: none.
   */
  choose(key: string, asked: string | null, verdict: ReleaseVerdict): VariantChoice;
  /** In which of so many cells a client is, whatever its variant; for statistics of how clients differ. */
  cellOf(key: string, cells: number): number;
}

/** All problems at once, in words. */
export type ReleaseResult =
  | { readonly ok: true; readonly release: CompiledRelease }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Compiles a release, or says what is wrong with it. */
export function compileRelease(release: Release): ReleaseResult {
  const problems = problemsOf(release);
  if (problems.length > 0) return { ok: false, problems };
  const { name, variants, overrides, forced } = release;
  const bands: VariantBands = layOutBands(variants.slice(1));
  const seed = stableHash(name, FIRST_SEED);
  const cellSeed = stableHash("cell", seed);
  const control = choicesOf(variants[0], 0);
  const choices = variants.map(choicesOf);
  const byName = new Map(choices.map((made) => [made.share.name, made]));
  const byOverride = new Map([...overrides].map(([value, variant]) => [value, byName.get(variant)]));
  const forcedChoice = forced === undefined ? undefined : byName.get(forced)?.forced;
  return {
    ok: true,
    release: {
      cellOf: (key, cells) => Math.floor(cells * fractionOf(stableHash(key, cellSeed))),
      choose(key, asked, { promoted, aborted }) {
        if (forcedChoice !== undefined) return forcedChoice;
        const wished = asked === null ? undefined : byOverride.get(asked);
        if (wished !== undefined && !aborted.includes(wished.share.name)) return wished.override;
        const winner = promoted === null ? undefined : byName.get(promoted);
        if (winner !== undefined) return winner.promoted;
        const { share } = choices[variantAt(bands, fractionOf(stableHash(key, seed)))] ?? control;
        return aborted.includes(share.name) ? control.aborted : share;
      },
    },
  };
}

type Choices = Readonly<Record<ChoiceReason, VariantChoice>>;

function choicesOf({ name }: Variant, index: number): Choices {
  const made = (why: ChoiceReason): VariantChoice => ({ index, name, why, counts: why === "share" });
  return {
    share: made("share"),
    override: made("override"),
    forced: made("forced"),
    promoted: made("promoted"),
    aborted: made("aborted"),
  };
}

function problemsOf({ variants, overrides, forced }: Release): readonly string[] {
  const names = variants.map(({ name }) => name);
  const problems: string[] = [];
  const shares = sharesProblem(variants.slice(1));
  if (shares !== undefined) problems.push(shares);
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) !== index) problems.push(`variants: got ${name} twice, wanted each name once`);
  }
  for (const name of [...overrides.values(), ...(forced === undefined ? [] : [forced])]) {
    if (!names.includes(name)) problems.push(`variant: got ${name}, wanted one of ${[...new Set(names)].join(", ")}`);
  }
  return problems;
}
