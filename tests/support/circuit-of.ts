import type { Gateway } from "./gateway.ts";

/** The state of a target's breaker, by the word of its owner; undefined: nobody has heard of it. */
export async function circuitOf(gateway: Gateway, target: string): Promise<unknown> {
  const headers = { authorization: `Bearer ${gateway.adminToken}` };
  const response = await fetch(`${gateway.url}/admin/circuit-breaker-status`, { headers });
  const { breakers }: { breakers: readonly Record<string, unknown>[] } = JSON.parse(await response.text());
  return breakers.find((breaker) => breaker["target"] === target)?.["state"];
}
