/** An operator waits longer than a request does; so what he finds silent says nothing of what requests may wait for. */
const OWNER_MS = 2_000;
/** The whole answer: an operator with a thousand dead owners wants to see that, not a timeout. */
const ANSWER_MS = 5_000;
/** A gateway of many objects must not hold a thousand calls at once. */
const AT_ONCE = 16;

/** What came of a question to one owner. */
export type Answered<Reply> =
  | { readonly kind: "answered"; readonly reply: Reply }
  /** `problem`: why there is no answer, for the operator. */
  | { readonly kind: "silent"; readonly problem: string };

/**
 * Asks about each of several things, some at a time, and waits at most five seconds for them all. Never rejects for a question
 * that fails: what came of it is in its answer.
 *
 * @returns in the order of the names.
 */
export async function askAll<Reply>(
  names: readonly string[],
  ask: (name: string, deadlineMs: number) => Promise<Reply>,
): Promise<readonly Answered<Reply>[]> {
  const until = Date.now() + ANSWER_MS;
  const answers: Answered<Reply>[] = [];
  const rest = names.entries();
  async function askInTurn(): Promise<void> {
    for (const [index, name] of rest) answers[index] = await askOne(name);
  }
  async function askOne(name: string): Promise<Answered<Reply>> {
    const deadlineMs = Math.min(OWNER_MS, until - Date.now());
    if (deadlineMs <= 0) return { kind: "silent", problem: "not asked: too many others did not answer" };
    try {
      return { kind: "answered", reply: await ask(name, deadlineMs) };
    } catch (error) {
      return { kind: "silent", problem: error instanceof Error ? error.message : String(error) };
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, names.length) }, askInTurn));
  return answers;
}
