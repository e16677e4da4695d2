/** A question that the bench answers: how a subject does against another that was measured in the same rounds. */
export interface Comparison {
  readonly subject: string;
  readonly reference: string;
  readonly asks: string;
}

/** What to compare, in the order of the report. */
export const comparisons: readonly Comparison[] = [
  { subject: "sluice", reference: "bare", asks: "the gateway without a limit" },
  { subject: "promised", reference: "bare", asks: "what is promised of an exchange, without a gateway" },
  { subject: "sluice", reference: "promised", asks: "the gateway's own part" },
  { subject: "sluice-no-log", reference: "bare", asks: "the same without its log line" },
  { subject: "sluice", reference: "sluice-no-log", asks: "the log line alone" },
  { subject: "sluice-leased", reference: "bare", asks: "gateway and leased limit" },
  { subject: "sluice-leased", reference: "sluice", asks: "the leased limit alone" },
  { subject: "sluice-leased", reference: "ask-durable", asks: "leases against asking each time, durably" },
  { subject: "sluice-protected", reference: "bare", asks: "gateway, breaker, balancing and health" },
  { subject: "sluice-protected", reference: "promised", asks: "the gateway's own part, with these" },
  { subject: "sluice-protected", reference: "sluice", asks: "breaker, balancing and health alone" },
  { subject: "sluice-quota", reference: "sluice", asks: "an egress quota alone" },
  { subject: "sluice-concurrency", reference: "sluice", asks: "an adaptive concurrency limit alone" },
  { subject: "sluice-geo", reference: "sluice", asks: "geography alone" },
  { subject: "sluice-canary", reference: "sluice", asks: "a canary alone" },
  { subject: "sluice-mirror", reference: "sluice", asks: "a mirror of a tenth alone" },
  { subject: "sluice-traffic", reference: "sluice", asks: "these five together" },
  ...["quota", "concurrency", "geo", "canary", "mirror", "traffic"].map((name) => ({
    subject: `sluice-${name}`,
    reference: "bare",
    asks: name === "traffic" ? "gateway and these five" : `gateway and ${name}`,
  })),
  { subject: "sluice-strict", reference: "ask-durable", asks: "the strict limit" },
  { subject: "sluice-strict", reference: "bare", asks: "gateway and strict limit" },
  { subject: "ask-memory", reference: "bare", asks: "one call to an object" },
  { subject: "ask-durable", reference: "bare", asks: "one call and one durable write" },
  { subject: "sluice-cached", reference: "colo-match", asks: "a hit in the colo" },
  { subject: "sluice-refusing", reference: "empty", asks: "refusing a request" },
  { subject: "local", reference: "sluice", asks: "npm start against raw workerd" },
  { subject: "fastify", reference: "bare", asks: "Fastify with its limiter" },
  { subject: "sluice", reference: "fastify", asks: "the gateway against Fastify" },
  { subject: "sluice", reference: "nginx", asks: "the gateway against nginx" },
];
