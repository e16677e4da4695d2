import type { SizeLimits } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import type { Step } from "../exchange.ts";
import { tooLarge } from "../upstream/request-body.ts";

/** Refuses what is too large or uses a method the route does not take, before anything is spent on it. */
export function guard(limits: SizeLimits): Step {
  const methods = limits.methods === undefined ? undefined : new Set(limits.methods);
  const allow = limits.methods?.join(", ");
  return function guardStep(exchange, next) {
    const { canonical, fields } = exchange;
    if (methods !== undefined && !methods.has(canonical.method)) {
      throw new GatewayError("method-not-allowed", {
        detail: `${canonical.method} is not allowed here; allowed: ${allow}.`,
        headers: { allow: allow ?? "" },
      });
    }
    const urlLength = canonical.path.length + canonical.query.length;
    if (urlLength > limits.maxUrlLength) {
      throw new GatewayError("uri-too-long", {
        detail: `The URL is ${urlLength} bytes; at most ${limits.maxUrlLength} are taken.`,
      });
    }
    if (fields.names.length > limits.maxHeaderCount || fields.bytes > limits.maxHeaderSize) {
      throw new GatewayError("headers-too-large", {
        detail: `The request has ${fields.names.length} header fields of ${fields.bytes} bytes; at most ${limits.maxHeaderCount} of ${limits.maxHeaderSize} bytes are taken.`,
      });
    }
    const declared = fields.get("content-length");
    if (declared !== null && Number(declared) > limits.maxBodySize) throw tooLarge(limits, Number(declared));
    return next(exchange);
  };
}
