/** How a target treats requests. */
export type Manner =
  /** Answers at once. */
  | { readonly kind: "answer"; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Answers 200 after so long. */
  | { readonly kind: "slow"; readonly ms: number }
  /** Says nothing until it is told another manner, by which it then treats those that wait. */
  | { readonly kind: "hold" }
  /** Takes the whole request and breaks the connection. */
  | { readonly kind: "reset" };

/** What a test tells the process of a target: how to treat paths that begin like this, the longest beginning first. */
export interface MannerOrder {
  readonly prefix: string;
  readonly manner: Manner;
}

/** The field of an answer that names the target: its port. */
export const SERVED_BY = "x-served-by";

/** The request's field that is noted. */
export const CLIENT = "x-client";
