import { compileCidrs } from "../../schemas/cidr.ts";
import type { Exemptions, RateLimit } from "../../schemas/index.ts";

/** What exemptions look at in an exchange. */
interface Asker {
  readonly client: { readonly address: string };
  readonly principal: string;
}

/**
 * Compiles limits for each kind of client: those that concern it, or undefined for one whom none does. Where nobody is
 * exempt that is one value for all, found without a look at the client.
 *
 * @param compile called at once for everybody's limits, and once more for each set of limits that exempt clients leave.
 */
export function unlessExempt<Compiled>(
  limits: readonly RateLimit[],
  compile: (limits: readonly RateLimit[]) => Compiled,
): (asker: Asker) => Compiled | undefined {
  const everybody = compile(limits);
  if (limits.every(({ exempt }) => exempt.cidrs.length + exempt.principals.length === 0)) return () => everybody;
  const tests = limits.map(({ exempt }) => exemptionTest(exempt));
  // As many sets as the blocks and names of the configuration tell apart, however many clients there are.
  const sets = new Map<string, Compiled | undefined>([[limits.map(() => "1").join(""), everybody]]);
  return (asker) => {
    let set = "";
    for (const isExempt of tests) set += isExempt(asker) ? "0" : "1";
    if (!sets.has(set)) {
      const rest = limits.filter((_, index) => set[index] === "1");
      sets.set(set, rest.length === 0 ? undefined : compile(rest));
    }
    return sets.get(set);
  };
}

function exemptionTest({ cidrs, principals }: Exemptions): (asker: Asker) => boolean {
  const holds = cidrs.length === 0 ? () => false : compileCidrs(cidrs);
  const names = new Set(principals);
  return ({ client, principal }) => {
    // Until authentication has said better the principal is the address, which a list of names does not mean.
    const isNamed = principal !== client.address && names.has(principal);
    return isNamed || holds(client.address);
  };
}
