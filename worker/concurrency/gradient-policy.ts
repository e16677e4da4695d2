/** How the limit of one isolate for one backend is found. */
export interface GradientPolicy {
  /** Bounds of the limit; integers >= 1. Defaults 3 and 1,000. */
  readonly minimum: number;
  readonly maximum: number;
  /** The limit before anything is known. Default 20. */
  readonly initial: number;
  /** By how much answers may take longer than at best. Default 0.25. */
  readonly buffer: number;
  /** Which of the times of a sample counts. Default 0.9. */
  readonly quantile: number;
  /** A sample has as many answers, and lasts as long at least; after ten times as long, 20 answers do. Defaults 100 and 100 ms. */
  readonly sampleAnswers: number;
  readonly sampleMs: number;
  /** How often what is best is measured anew, where requests are refused for slow answers. Default 20 s. */
  readonly measureEveryMs: number;
  /** Answers that a measurement takes, and how long it may last. Defaults 50 and 1 s. */
  readonly measureAnswers: number;
  readonly measureMs: number;
}

/** What holds where nothing else is said. */
export const DEFAULT_GRADIENT: GradientPolicy = {
  minimum: 3,
  maximum: 1_000,
  initial: 20,
  buffer: 0.25,
  quantile: 0.9,
  sampleAnswers: 100,
  sampleMs: 100,
  measureEveryMs: 20_000,
  measureAnswers: 50,
  measureMs: 1_000,
};
