/** One row of the table that `npm run prove` prints. */
export interface Proof {
  /** What is promised, in a few words. */
  readonly promise: string;
  /** The figure that must hold. */
  readonly bound: string;
  /** The figure that was measured. */
  readonly figure: string;
  readonly pass: boolean;
  /** What the figure counts, by name, where that is too long for a table. */
  readonly names?: string;
}
