/** The operator's token, if this deployment has one. */
export function adminToken(env: Env): string | undefined {
  // An empty secret is how a dashboard removes one.
  const token = env.SLUICE_ADMIN_TOKEN || env.ADMIN_KEY;
  return token === undefined || token === "" ? undefined : token;
}

/** Whether a request carries the operator's token, as `Authorization: Bearer` or `X-Admin-Key`. Never in the query. */
export async function isAdmin(request: Request, env: Env): Promise<boolean> {
  const expected = adminToken(env);
  const presented = presentedToken(request.headers);
  if (expected === undefined || presented === undefined) return false;
  return equalSecrets(presented, expected);
}

function presentedToken(headers: Headers): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1];
  return bearer ?? headers.get("x-admin-key") ?? undefined;
}

/** Compares digests in constant time: they are of one length, and neither length nor prefix of the token leaks. */
async function equalSecrets(a: string, b: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [left, right] = await Promise.all(
    [a, b].map((secret) => crypto.subtle.digest("SHA-256", encoder.encode(secret))),
  );
  return left !== undefined && right !== undefined && crypto.subtle.timingSafeEqual(left, right);
}
