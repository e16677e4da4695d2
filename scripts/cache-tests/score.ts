/** What of a suite's test its verdict depends on. */
export interface SuiteTest {
  readonly id: string;
  /** `required` where the suite says nothing. */
  readonly kind: "required" | "optimal" | "check";
  readonly dependsOn: readonly string[];
}

/** What came of a run, by test: true, or what failed and how. A test that isn't there was not run. */
export type Results = Readonly<Record<string, true | readonly string[]>>;

/** How a test ended: passed, failed, or for want of a dependency's passing neither. */
export type Verdict =
  | { readonly kind: "pass" }
  | { readonly kind: "fail" | "setup"; readonly why: string }
  | { readonly kind: "dependency"; readonly on: readonly string[] }
  | { readonly kind: "untested" };

/** Passes among the tests of a kind. */
export interface Score {
  readonly passed: number;
  readonly tests: number;
}

/**
 * The verdict on every test, by the rules of the suite's own pages: a test counts where it passed and everything that it depends on did,
 * and so did what those depend on.
 */
export function verdictsOf(tests: readonly SuiteTest[], results: Results): ReadonlyMap<string, Verdict> {
  const byId = new Map(tests.map((test) => [test.id, test]));
  const verdicts = new Map<string, Verdict>();
  function verdictOf(id: string): Verdict {
    const known = verdicts.get(id);
    if (known !== undefined) return known;
    // Of tests that depend on each other none can count.
    verdicts.set(id, { kind: "untested" });
    const verdict = judge(byId.get(id), results[id]);
    verdicts.set(id, verdict);
    return verdict;
  }
  function judge(test: SuiteTest | undefined, result: Results[string] | undefined): Verdict {
    if (test === undefined || result === undefined) return { kind: "untested" };
    const on = test.dependsOn.filter((id) => verdictOf(id).kind !== "pass");
    if (on.length > 0) return { kind: "dependency", on };
    if (result === true) return { kind: "pass" };
    const [name = "", message = ""] = result;
    return { kind: name === "Setup" ? "setup" : "fail", why: message };
  }
  for (const { id } of tests) verdictOf(id);
  return verdicts;
}

/** How many tests of a kind passed, of all that are of that kind. */
export function scoreOf(
  tests: readonly SuiteTest[],
  verdicts: ReadonlyMap<string, Verdict>,
  kind: SuiteTest["kind"],
): Score {
  const ofKind = tests.filter((test) => test.kind === kind);
  return { passed: ofKind.filter(({ id }) => verdicts.get(id)?.kind === "pass").length, tests: ofKind.length };
}
