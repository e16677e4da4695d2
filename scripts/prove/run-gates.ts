import type { Proof } from "../../tests/support/proof.ts";

/** One file of tests/gates. */
export interface Gate {
  readonly name: string;
  readonly run: () => Promise<readonly Proof[]>;
}

/**
 * Runs gates one after the other, since two that measure would measure each other, and returns the rows of all. A gate
 * that throws, or that proves nothing, is a failed row and the next one runs all the same.
 *
 * @param onStart told the name of each gate before it runs.
 */
export async function runGates(gates: readonly Gate[], onStart: (name: string) => void): Promise<readonly Proof[]> {
  const proofs: Proof[] = [];
  for (const { name, run } of gates) {
    onStart(name);
    try {
      const rows = await run();
      if (rows.length === 0) throw new Error("the gate measured nothing");
      proofs.push(...rows);
    } catch (error) {
      const [reason = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
      console.error(error);
      proofs.push({ promise: name, bound: "the gate runs", figure: reason, pass: false });
    }
  }
  return proofs;
}
