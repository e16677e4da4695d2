import * as v from "valibot";

const WANTED = "an object, an array, true or false";

// A part of the vocabulary that no code acts on yet: any JSON is taken, and a warning says so unless it is switched
// off. Completing a policy means giving it a file of its own beside this one, and taking its name out of here.
const PendingSchema = v.union(
  [v.boolean(WANTED), v.array(v.unknown(), WANTED), v.record(v.string(), v.unknown(), WANTED)],
  WANTED,
);

/** Policies that a route may have, and the top level as their default. */
export const pendingRoutePolicies = {
  auth: v.optional(PendingSchema),
  ipControl: v.optional(PendingSchema),
  cors: v.optional(PendingSchema),
  securityHeaders: v.optional(PendingSchema),
  async: v.optional(PendingSchema),
  transform: v.optional(PendingSchema),
} as const;

/** What only the whole document has. */
export const pendingDocumentPolicies = {
  consumers: v.optional(PendingSchema),
  securityTxt: v.optional(PendingSchema),
} as const;
