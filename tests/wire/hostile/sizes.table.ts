import type { RawRequest } from "../../support/raw-request.ts";
import {
  ask,
  badRequest,
  forwarded,
  get,
  type HostileAnswer,
  type HostileRow,
  NOBODY_ELSE,
  raw,
  runtime400,
} from "./rows.ts";

const NO_MORE = { status: 413, code: "payload-too-large" } as const;
const TOO_MANY = { status: 431, code: "headers-too-large" } as const;
const post = (
  attack: string,
  options: Omit<RawRequest, "target"> & { target?: string },
  answer: HostileAnswer,
): HostileRow => ask(attack, { method: "POST", target: "/public/a", ...options }, answer);

/** Sizes and framing. */
export const sizeRows: readonly HostileRow[] = [
  get("a URL of 8,192 bytes", `/public/${"a".repeat(8184)}`, forwarded(`/via-public/${"a".repeat(8184)}`)),
  get("a URL of 8,193 bytes", `/public/${"a".repeat(8185)}`, { status: 414, code: "uri-too-long" }),
  get("a query that makes it 8,193 bytes", `/public/a?${"a".repeat(8183)}`, { status: 414, code: "uri-too-long" }),
  get("a URL of 70,000 bytes", `/public/${"a".repeat(70_000)}`, { status: 414, by: "runtime" }),
  ask(
    "100 headers",
    { target: "/public/a", headers: Array.from({ length: 99 }, (_, n) => `X-${n}: 1`) },
    forwarded("/via-public/a"),
  ),
  ask("101 headers", { target: "/public/a", headers: Array.from({ length: 100 }, (_, n) => `X-${n}: 1`) }, TOO_MANY),
  ask("5,000 headers", { target: "/public/a", headers: Array.from({ length: 5000 }, (_, n) => `X-${n}: 1`) }, TOO_MANY),
  ask("one header of 33 KB", { target: "/public/a", headers: [`X-Large: ${"a".repeat(33_000)}`] }, TOO_MANY),
  ask("one header of 200 KB", { target: "/public/a", headers: [`X-Large: ${"a".repeat(200_000)}`] }, TOO_MANY),
  post(
    "a body of exactly the limit",
    { target: "/small/a", body: "a".repeat(100) },
    { status: 200, target: "/via-small/a", body: "a".repeat(100) },
  ),
  post("a declared body over the limit", { target: "/small/a", body: "a".repeat(101) }, NO_MORE),
  post("a declared body of 99 GB", { headers: ["Content-Length: 99999999999"] }, NO_MORE),
  post("a declared body over 2^64", { headers: ["Content-Length: 18446744073709551617"] }, runtime400),
  post("a negative length", { headers: ["Content-Length: -1"] }, runtime400),
  post("a length with a sign", { headers: ["Content-Length: +3"] }, runtime400),
  post("a hexadecimal length", { headers: ["Content-Length: 0x3"] }, runtime400),
  post("two lengths that differ", { headers: ["Content-Length: 3", "Content-Length: 4"] }, runtime400),
  post(
    "two lengths that agree",
    { headers: ["Content-Length: 3"], body: "abc" },
    { status: 200, target: "/via-public/a", body: "abc", headers: { "content-length": "3" } },
  ),
  post(
    "a length beside chunks",
    { headers: ["Content-Length: 3"], chunks: ["hello"] },
    { status: 200, target: "/via-public/a", body: "hello", headers: { "content-length": undefined } },
  ),
  post("an unknown transfer coding", { headers: ["Transfer-Encoding: cow"] }, runtime400),
  post(
    "chunked, then identity",
    { headers: ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"] },
    runtime400,
  ),
  post("a vertical tab before chunked", { headers: ["Transfer-Encoding:\x0bchunked"] }, runtime400),
  raw(
    "gzip as a transfer coding",
    "POST /public/a HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    badRequest,
  ),
  raw(
    "a chunk extension",
    "POST /public/a HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
    { status: 200, target: "/via-public/a", body: "abc" },
  ),
  raw(
    "a trailer",
    "POST /public/a HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
    { status: 200, target: "/via-public/a", body: "abc", headers: NOBODY_ELSE },
  ),
  ask(
    "GET with a body",
    { target: "/public/a", body: "abc" },
    { status: 200, target: "/via-public/a", method: "GET", body: "abc", headers: { "content-length": "3" } },
  ),
  post(
    "Expect: 100-continue",
    { headers: ["Expect: 100-continue"], body: "abc" },
    { status: 200, target: "/via-public/a", body: "abc", headers: { expect: undefined } },
  ),
  post(
    "an expectation nobody knows",
    { headers: ["Expect: tea"], body: "abc" },
    { status: 200, target: "/via-public/a", body: "abc", headers: { expect: undefined } },
  ),
];
