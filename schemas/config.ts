import * as v from "valibot";
import { BackendSchema } from "./backends.ts";
import { ClientIpSchema } from "./client-ip.ts";
import { closedObject, objectOf } from "./document/closed-object.ts";
import { AdminPolicySchema, EndpointsSchema } from "./endpoints.ts";
import { BatchPolicySchema } from "./policies/batch.ts";
import { ConcurrencyPolicySchema } from "./policies/backends/concurrency.ts";
import { RetryPolicySchema } from "./policies/backends/retry.ts";
import { LimiterSchema } from "./policies/limiter.ts";
import { LoggingPolicySchema } from "./policies/logging.ts";
import { MetricsPolicySchema } from "./policies/metrics.ts";
import { pendingDocumentPolicies } from "./policies/pending.ts";
import { ONE_OR_LIST, routePolicies, RouteSchema } from "./routes/route.ts";
import { entityName, flag } from "./values/primitives.ts";

const IN_BACKEND = 'a key of the document: this one stands in a backend of "backends"';

/** A whole document. What one part says about another (backends, ids, addresses) is checked by `checkConfig`. */
export const ConfigSchema = v.pipe(
  closedObject(
    {
      $schema: v.optional(v.string("the address of the JSON Schema")),
      routes: v.optional(v.array(RouteSchema, "an array of routes")),
      backends: v.optional(objectOf(entityName, BackendSchema, "an object from names to backends")),
      ...routePolicies,
      retry: v.optional(RetryPolicySchema),
      concurrency: v.optional(ConcurrencyPolicySchema),
      batch: v.optional(BatchPolicySchema),
      metrics: v.optional(MetricsPolicySchema),
      logging: v.optional(LoggingPolicySchema),
      limiter: v.optional(LimiterSchema),
      clientIp: v.optional(ClientIpSchema),
      admin: v.optional(AdminPolicySchema),
      endpoints: v.optional(EndpointsSchema),
      allowPrivateTargets: v.optional(flag),
      ...pendingDocumentPolicies,
    },
    {
      elsewhere: {
        balance: IN_BACKEND,
        sticky: IN_BACKEND,
        healthCheck: IN_BACKEND,
        hedge: IN_BACKEND,
        quota: IN_BACKEND,
      },
    },
  ),
  v.forward(
    v.partialCheck(
      [["rateLimit"], ["rateLimits"]],
      ({ rateLimit, rateLimits }) => rateLimit === undefined || rateLimits === undefined,
      ONE_OR_LIST,
    ),
    ["rateLimits"],
  ),
);

/** A document as written, with durations, sizes and addresses already read. */
export type ConfigInput = v.InferOutput<typeof ConfigSchema>;
