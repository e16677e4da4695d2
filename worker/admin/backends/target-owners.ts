import { addresses } from "../../../objects/address.ts";
import type { CircuitBreaker } from "../../../objects/circuit-breaker/circuit-breaker.ts";
import { createDependency, ONE_TRY } from "../../dependencies/dependency.ts";
import { namingSecret } from "../../limits/client-address.ts";

/** An operator waits longer than a request does; so what he finds silent says nothing of what requests may wait for. */
const OWNER_MS = 2_000;
/** The whole answer: an operator with a thousand dead targets wants to see that, not a timeout. */
const ANSWER_MS = 5_000;
/** A gateway of many targets must not hold a thousand calls at once. */
const AT_ONCE = 16;

const owners = createDependency({ kind: "CircuitBreaker", remembers: 512 });

/** What came of a question to one owner. */
export type Answered<Reply> =
  | { readonly kind: "answered"; readonly reply: Reply }
  /** `problem`: why there is no answer, for the operator. */
  | { readonly kind: "silent"; readonly problem: string };

/**
 * Asks the owner of each target, some at a time, and waits at most five seconds for them all. Never rejects for an owner
 * that fails: what came of it is in its answer.
 *
 * @returns in the order of the URLs.
 */
export async function askOwners<Reply>(
  env: Env,
  urls: readonly string[],
  question: (owner: DurableObjectStub<CircuitBreaker>, url: string) => Promise<Reply>,
): Promise<readonly Answered<Reply>[]> {
  const until = Date.now() + ANSWER_MS;
  const answers: Answered<Reply>[] = [];
  const rest = urls.entries();
  async function askInTurn(): Promise<void> {
    for (const [index, url] of rest) answers[index] = await askOwner(url);
  }
  async function askOwner(url: string): Promise<Answered<Reply>> {
    const deadlineMs = Math.min(OWNER_MS, until - Date.now());
    if (deadlineMs <= 0) return { kind: "silent", problem: "not asked: too many others did not answer" };
    try {
      const { name } = await addresses(namingSecret(env)).breaker(url);
      const stub = env.CIRCUIT_BREAKER.get(env.CIRCUIT_BREAKER.idFromName(name), ONE_TRY);
      return { kind: "answered", reply: await owners.call(name, () => question(stub, url), { deadlineMs }) };
    } catch (error) {
      return { kind: "silent", problem: error instanceof Error ? error.message : String(error) };
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, urls.length) }, askInTurn));
  return answers;
}
