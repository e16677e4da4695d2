/** What is shed, copied and bundled, with every default filled in. Times in ms, sizes in bytes. */

/** How many requests one isolate may have in flight to one backend; what finds no room is shed. */
export interface ConcurrencyPolicy {
  readonly limit: FixedConcurrency | AdaptiveConcurrency;
  /** The part of the limit that each class may use, in (0, 1]. Default 1, 0.8 and 0.5. */
  readonly shares: Readonly<Record<Priority, number>>;
  /** Count and note, but never refuse. Default false. */
  readonly shadow: boolean;
}

export interface FixedConcurrency {
  readonly kind: "fixed";
  /** Of one isolate; >= 1. */
  readonly limit: number;
}

/** How the limit of one isolate for one backend is found, by the gradient of its latency. */
export interface AdaptiveConcurrency {
  readonly kind: "adaptive";
  /** Bounds of the limit; integers >= 1. Defaults 3 and 1,000. */
  readonly minimum: number;
  readonly maximum: number;
  /** The limit before anything is known. Default 20. */
  readonly initial: number;
  /** By how much answers may take longer than at best. Default 0.25. */
  readonly buffer: number;
  /** Which of the times of a sample counts. Default 0.9. */
  readonly quantile: number;
  /** A sample has as many answers, and lasts as long at least; after ten times as long, 20 answers do. 100 and 100 ms. */
  readonly sampleAnswers: number;
  readonly sampleMs: number;
  /** How often what is best is measured anew, where requests are refused for slow answers. Default 20 s. */
  readonly measureEveryMs: number;
  /** Answers that a measurement takes, and how long it may last. 50 and 1 s. */
  readonly measureAnswers: number;
  readonly measureMs: number;
}

/** How much a request matters when not all can be served. */
export type Priority = "critical" | "normal" | "low";

/** The class of a route's requests. */
export interface PriorityPolicy {
  /** Default normal. */
  readonly standard: Priority;
  /** Lower-cased name of a field in which clients may say another class; undefined: they may not. */
  readonly header: string | undefined;
}

/** What of a route's requests is copied to a shadow backend. */
export interface MirrorSettings {
  /** Key of `Config.backends`; never the route's own. */
  readonly backend: string;
  /** Of the requests that could be copied, in (0, 1]. Default 1. */
  readonly share: number;
  /** Upper case; undefined: all. */
  readonly methods: readonly string[] | undefined;
  /** A longer body isn't copied. Default 65,536: what the gateway keeps of a body anyway. */
  readonly maxBodyBytes: number;
  /** Copies of one isolate that are on their way at once. Default 16. */
  readonly maxInFlight: number;
  /** After which a copy is given up. Default 10 s. */
  readonly timeoutMs: number;
  /** Lower-cased names of fields that the copy is sent without. Default none. */
  readonly removeHeaders: readonly string[];
}

/** Several requests in one. */
export interface BatchPolicy {
  readonly path: string;
  /** Default 50. */
  readonly maxRequests: number;
  /** Of the body that holds the requests. Default 1 MiB. */
  readonly maxBodySize: number;
  /** Of the bodies of all answers. Default 8 MiB. */
  readonly maxAnswerSize: number;
  /** For all of it. Default 60 s. */
  readonly timeoutMs: number;
}
