import * as v from "valibot";
import type { SessionFilter } from "../../../objects/socket-registry/registry-messages.ts";
import { SESSION_MODES, SESSION_STATES } from "../../../objects/web-socket-relay/session-control.ts";
import { isSendable, MAX_REASON_BYTES } from "../../../objects/web-socket-relay/close-codes.ts";
import { quote } from "../../../schemas/document/describe-value.ts";
import { duration } from "../../../schemas/values/duration.ts";
import { GatewayError } from "../../errors.ts";
import type { AdminContext, Routable } from "../index.ts";

/** What tells sessions apart. */
export const FILTERS = ["route", "principal", "address", "state", "mode"] as const;
/** An object that is told to wait longer may be gone before. */
const MAX_SPREAD_MS = 900_000;

/** What is wrong with a query, as a refusal. */
export function invalid(detail: string): GatewayError {
  return new GatewayError("invalid-request", { detail: `${detail}.` });
}

/**
 * Refuses parameters that a resource does not have, and one that comes twice: a filter that is misspelt would make an order for some
 * one for more.
 *
 * @throws GatewayError `invalid-request`.
 */
export function takes(...known: readonly string[]): (request: Routable, context: AdminContext) => void {
  return (_request, { query }) => {
    const names = [...query.keys()];
    const stranger = names.find((name) => !known.includes(name));
    if (stranger !== undefined) {
      throw invalid(`query: got ${quote(stranger)}, wanted ${known.join(", ") || "no parameters"}`);
    }
    const twice = names.find((name, at) => names.indexOf(name) !== at);
    if (twice !== undefined) throw invalid(`${twice}: got it twice, wanted it once`);
  };
}

/** Which sessions a query means. @throws GatewayError `invalid-request`. */
export function filterOf(query: URLSearchParams): SessionFilter {
  const state = oneOf("state", SESSION_STATES, query);
  const mode = oneOf("mode", SESSION_MODES, query);
  return { route: query.get("route"), principal: query.get("principal"), address: query.get("address"), state, mode };
}

/** The same for an order, which has to name its sessions or say `all=true`: a filter that was forgotten must not be one for all. */
export function orderFilterOf(query: URLSearchParams): SessionFilter {
  const isFiltered = FILTERS.some((name) => query.has(name));
  if (isFiltered !== (oneOf("all", ["true"], query) !== null)) return filterOf(query);
  throw invalid(
    `query: got ${isFiltered ? "all=true and a filter" : "no filter"}, wanted ${FILTERS.join(", ")} or all=true`,
  );
}

/** `code` and `reason` of a Close frame. @throws GatewayError `invalid-request` where they may not be sent. */
export function closeOf(query: URLSearchParams, code: number): { readonly code: number; readonly reason: string } {
  const text = query.get("code") ?? String(code);
  const asked = /^\d{4}$/.test(text) ? Number(text) : 0;
  if (!isSendable(asked)) throw invalid(`code: got ${quote(text)}, wanted 1000 to 1003, 1007 to 1014 or 3000 to 4999`);
  const reason = query.get("reason") ?? "closed by an operator";
  const { length } = new TextEncoder().encode(reason);
  if (length > MAX_REASON_BYTES) throw invalid(`reason: got ${length} bytes, wanted at most ${MAX_REASON_BYTES}`);
  return { code: asked, reason };
}

/** How long something of an order takes, in ms; a duration such as `30s`. @throws GatewayError `invalid-request`. */
export function timeOf(name: "spread" | "refuseNew", query: URLSearchParams, otherwise: string): number {
  const text = query.get(name) ?? otherwise;
  if (text === "0") return 0;
  const parsed = v.safeParse(duration(undefined, { min: 0, max: MAX_SPREAD_MS }), text);
  if (parsed.success) return parsed.output;
  throw invalid(`${name}: got ${quote(text)}, wanted a duration such as 30s, at most 15m, or 0`);
}

/** A whole number of the query. @throws GatewayError `invalid-request`. */
export function countOf(
  name: string,
  query: URLSearchParams,
  { least, most, otherwise }: { readonly least: number; readonly most: number; readonly otherwise: number },
): number {
  const text = query.get(name);
  if (text === null) return otherwise;
  const count = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (count >= least && count <= most) return count;
  throw invalid(`${name}: got ${quote(text)}, wanted a whole number from ${least} to ${most}`);
}

/** One of some words of the query; null: it is not there. @throws GatewayError `invalid-request`. */
export function oneOf<Word extends string>(name: string, words: readonly Word[], query: URLSearchParams): Word | null {
  const text = query.get(name);
  const word = words.find((one) => one === text);
  if (text === null || word !== undefined) return word ?? null;
  throw invalid(`${name}: got ${quote(text)}, wanted ${words.join(", ")}`);
}
