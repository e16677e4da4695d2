import { EXCEPTIONS } from "./exceptions.ts";
import { scoreOf, type SuiteTest, type Verdict } from "./score.ts";

/** The verdicts of one run. */
type Verdicts = ReadonlyMap<string, Verdict>;

/** What the suite is run through, and the share of the required tests that can be passed at all which has to be. */
export const PROFILES = [
  { name: "shipped defaults", cache: true, share: 0.95 },
  {
    name: "suite profile",
    cache: { cookies: "strip", stripSetCookie: true, authorization: "public", respectRequestDirectives: true },
    share: 0.97,
  },
] as const;

const EXCEPTED: ReadonlySet<string> = new Set(EXCEPTIONS.flatMap(({ tests }) => tests));
const UNTESTED: Verdict = { kind: "untested" };

/** The scores, a row for each profile, and for others that were judged. */
export function scoreRows(
  tests: readonly SuiteTest[],
  judged: readonly Verdicts[],
  others: readonly (readonly [name: string, Verdicts])[],
): readonly string[][] {
  const ours = judged.map((verdicts, at) => [PROFILES[at]?.name ?? "", verdicts] as const);
  const rows = [...ours, ...others].map(([name, verdicts]) => {
    const figure = (some: readonly SuiteTest[], kind: SuiteTest["kind"]) => {
      const { passed, tests: all } = scoreOf(some, verdicts, kind);
      return `${passed} of ${all} (${((100 * passed) / all).toFixed(1)} %)`;
    };
    return [
      name,
      figure(tests, "required"),
      figure(possible(tests), "required"),
      figure(tests, "optimal"),
      figure(tests, "check"),
    ];
  });
  return [["profile", "required", "of those that can be passed", "optimal", "check"], ...rows];
}

/** The required tests that are not passed, and that no exception explains. */
export function unexplained(tests: readonly SuiteTest[], verdicts: Verdicts): readonly string[] {
  const failed = tests.filter(({ id, kind }) => kind === "required" && verdicts.get(id)?.kind !== "pass");
  return failed.map(({ id }) => id).filter((id) => !EXCEPTED.has(id));
}

/** What is to be mended: a required test that is not passed and not excepted, an exception that is passed, too small a share. */
export function complaintsOf(tests: readonly SuiteTest[], judged: readonly Verdicts[]): readonly string[] {
  return PROFILES.flatMap(({ name, share }, at) => {
    const verdicts = judged[at] ?? new Map<string, Verdict>();
    const unlisted = unexplained(tests, verdicts).map((id) => {
      return `${name}: ${id} is not passed, and no exception says why: ${said(verdicts.get(id) ?? UNTESTED)}`;
    });
    const passed = [...EXCEPTED].filter((id) => verdicts.get(id)?.kind === "pass");
    const { passed: got, tests: all } = scoreOf(possible(tests), verdicts, "required");
    const wanted = Math.ceil(share * all);
    return [
      ...unlisted,
      ...passed.map((id) => `${name}: ${id} is passed: take it out of the exceptions`),
      ...(got < wanted ? [`${name}: got ${got} of the ${all} that can be passed, wanted ${wanted}`] : []),
    ];
  });
}

/** The required tests that are not passed, and why. */
export function exceptionRows(judged: readonly Verdicts[]): readonly string[][] {
  const rows = EXCEPTIONS.flatMap(({ because, reason, tests }) =>
    tests.map((id, at) => {
      const missed = PROFILES.filter((_profile, index) => judged[index]?.get(id)?.kind !== "pass");
      const whose = missed.length === PROFILES.length ? "both" : missed.map(({ name }) => name).join("");
      return [id, whose, because, at === 0 ? reason : '"'];
    }),
  );
  return [["test", "profile", "because", "reason"], ...rows];
}

/** The optimal tests and the checks that are not passed. */
export function otherRows(tests: readonly SuiteTest[], judged: readonly Verdicts[]): readonly string[][] {
  const rows = PROFILES.flatMap(({ name }, at) =>
    tests.flatMap(({ id, kind }) => {
      const verdict = judged[at]?.get(id) ?? UNTESTED;
      return kind === "required" || verdict.kind === "pass" ? [] : [[id, name, kind, said(verdict)]];
    }),
  );
  return [["test", "profile", "kind", "why"], ...rows];
}

/** Without what nobody can pass on this runtime, and what the standard forbids. What we choose not to pass counts. */
function possible(tests: readonly SuiteTest[]): readonly SuiteTest[] {
  const not = new Set(EXCEPTIONS.flatMap(({ because, tests: ids }) => (because === "choice" ? [] : ids)));
  return tests.filter(({ id }) => !not.has(id));
}

function said(verdict: Verdict): string {
  if (verdict.kind === "fail" || verdict.kind === "setup") return verdict.why;
  return verdict.kind === "dependency" ? `depends on ${verdict.on.join(", ")}` : verdict.kind;
}
