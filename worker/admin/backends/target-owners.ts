import { addresses } from "../../../objects/address.ts";
import type { CircuitBreaker } from "../../../objects/circuit-breaker/circuit-breaker.ts";
import { createDependency, ONE_TRY } from "../../dependencies/dependency.ts";
import { namingSecret } from "../../limits/client-address.ts";
import { askAll, type Answered } from "../ask-all.ts";

export type { Answered };

const owners = createDependency({ kind: "CircuitBreaker", remembers: 512 });

/** Asks the owner of each target: see `askAll`. */
export function askOwners<Reply>(
  env: Env,
  urls: readonly string[],
  question: (owner: DurableObjectStub<CircuitBreaker>, url: string) => Promise<Reply>,
): Promise<readonly Answered<Reply>[]> {
  return askAll(urls, async (url, deadlineMs) => {
    const { name } = await addresses(namingSecret(env)).breaker(url);
    const stub = env.CIRCUIT_BREAKER.get(env.CIRCUIT_BREAKER.idFromName(name), ONE_TRY);
    return owners.call(name, () => question(stub, url), { deadlineMs });
  });
}
