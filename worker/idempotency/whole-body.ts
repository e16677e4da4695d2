import type { IdempotencySettings } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { within } from "../within.ts";
import { readUpTo, type Read } from "./read-up-to.ts";

/**
 * Reads a request's body whole: nothing may be claimed for a request that may never be there. Undefined: it has none.
 *
 * @throws GatewayError `payload-too-large`, `request-timeout`, `invalid-request`.
 */
export async function wholeBody(exchange: Exchange, settings: IdempotencySettings): Promise<ArrayBuffer | undefined> {
  const { request, fields, route, receivedAt } = exchange;
  const { body } = request;
  if (body === null) return undefined;
  const { timeouts, sizeLimits } = route.route;
  const maxBytes = Math.min(settings.maxBodySize, sizeLimits?.maxBodySize ?? Infinity);
  const length = fields.get("content-length");
  if (length !== null && Number(length) > maxBytes) throw tooLarge(maxBytes);
  const timeoutMs = Math.min(timeouts.requestBody, timeouts.total);
  const late = () =>
    new GatewayError("request-timeout", { detail: `The body did not arrive whole within ${timeoutMs} ms.` });
  let read: Read;
  try {
    read = await within(readUpTo(body, maxBytes), receivedAt + timeoutMs - Date.now(), late);
  } catch (error) {
    throw error instanceof GatewayError ? error : cutShort(error);
  }
  if (read.kind === "longer") {
    void read.rest.cancel().catch(() => {});
    throw tooLarge(maxBytes);
  }
  if (length !== null && read.bytes.byteLength !== Number(length)) throw cutShort(undefined);
  return read.bytes;
}

function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError("payload-too-large", {
    detail: `With an idempotency key at most ${maxBytes} bytes of body are taken here; send it without one, or in parts.`,
  });
}

function cutShort(cause: unknown): GatewayError {
  return new GatewayError("invalid-request", { detail: "The body ended before its declared length.", cause });
}
