/**
 * Header fields beside `Authorization` and `Cookie` by which an origin may know who asks, in lower case. No list is whole: a route that
 * tells clients apart by a field of its own says so in `by`.
 */
export const CREDENTIAL_FIELDS: readonly string[] = [
  "api-key",
  "apikey",
  "cf-access-client-id",
  "cf-access-client-secret",
  "cf-access-jwt-assertion",
  "ocp-apim-subscription-key",
  "private-token",
  "x-access-token",
  "x-amz-security-token",
  "x-api-key",
  "x-apikey",
  "x-auth-token",
  "x-authorization",
  "x-csrf-token",
  "x-goog-iap-jwt-assertion",
  "x-session-id",
  "x-session-token",
  "x-user-id",
  "x-xsrf-token",
];

/** The name as origins read it that follow CGI's rules: to them underscores are dashes. */
export function dashed(name: string): string {
  return name.replaceAll("_", "-");
}
