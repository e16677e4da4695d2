import type { ErrorCode } from "../../worker/errors.ts";
import type { FaultName } from "../support/origin/faults.ts";

/** What a client gets when the origin misbehaves. */
export type DefinedAnswer =
  /** A problem document: the gateway says who failed. */
  | { readonly status: 502 | 504; readonly code: ErrorCode }
  /** The origin's answer, all of it. */
  | { readonly status: 200 | 204; readonly body: string }
  /** The origin's answer had begun; its body is visibly incomplete (a length unmet, no last chunk). */
  | { readonly status: 200; readonly cut: true };

/** One row of the specification. */
export interface FaultRow {
  /** The fault in words, as docs/design/faults.md has it. */
  readonly fault: string;
  /** How the origin does it: a script of tests/support/origin/faults.ts, or an address that is no working origin. */
  readonly by: FaultName | "refuse" | "accept-and-close";
  /**
   * For faults that are about time, a route with deadlines. `hasty`: of 500 ms; `hasty-body`: of as much between two parts of a body
   * alone; `steady`: of 1.5 s between them. Default `patient`.
   */
  readonly route?: "hasty" | "hasty-body" | "steady";
  readonly answer: DefinedAnswer;
}

const unreachable = { status: 502, code: "upstream-unreachable" } as const;
const invalid = { status: 502, code: "upstream-invalid-response" } as const;
const timeout = { status: 504, code: "upstream-timeout" } as const;
const whole = { status: 200, body: "hello" } as const;
const cut = { status: 200, cut: true } as const;

/** Every origin fault with the answer that GET, POST and a streamed POST get. docs/design/faults.md shows these rows. */
export const faultRows: readonly FaultRow[] = [
  { fault: "nobody listens (connection refused)", by: "refuse", answer: unreachable },
  { fault: "accepts the connection and closes it", by: "accept-and-close", answer: unreachable },
  { fault: "closes before the head", by: "close-before-head", answer: unreachable },
  { fault: "closes in the head", by: "close-in-head", answer: unreachable },
  { fault: "resets before the head", by: "reset-before-head", answer: unreachable },
  { fault: "resets in the head", by: "reset-in-head", answer: unreachable },
  { fault: "resets in a body of up to 64 KiB", by: "reset-in-small-body", answer: invalid },
  { fault: "resets in a larger body", by: "reset-in-large-body", answer: cut },
  { fault: "resets in a chunked body", by: "reset-in-chunked-body", answer: cut },

  { fault: "hangs before the head", by: "hang-before-head", route: "hasty", answer: timeout },
  { fault: "hangs in the head", by: "hang-in-head", route: "hasty", answer: timeout },
  { fault: "hangs in a body of up to 64 KiB", by: "hang-in-small-body", route: "hasty", answer: timeout },
  { fault: "hangs in a larger body", by: "hang-in-large-body", route: "hasty-body", answer: cut },
  { fault: "hangs in a chunked body", by: "hang-in-chunked-body", route: "hasty-body", answer: cut },
  { fault: "head one byte at a time, done in time", by: "head-byte-by-byte", answer: whole },
  {
    fault: "head one byte at a time, past the deadline",
    by: "head-byte-by-byte-past-deadline",
    route: "hasty",
    answer: timeout,
  },
  { fault: "body of up to 64 KiB one byte at a time, done in time", by: "small-body-byte-by-byte", answer: whole },
  {
    fault: "body of up to 64 KiB one byte at a time, past the deadline",
    by: "small-body-byte-by-byte",
    route: "hasty",
    answer: timeout,
  },
  {
    fault: "chunked body one byte at a time, never silent for long",
    by: "chunked-body-byte-by-byte",
    route: "steady",
    answer: whole,
  },

  { fault: "ends before the Content-Length, up to 64 KiB", by: "truncated-small-length", answer: invalid },
  { fault: "ends before the Content-Length, larger", by: "truncated-large-length", answer: cut },
  { fault: "ends inside a chunk", by: "truncated-in-chunk", answer: cut },
  { fault: "ends between two chunks", by: "truncated-between-chunks", answer: cut },
  { fault: "a chunk size that is no number", by: "bad-chunk-size", answer: cut },
  { fault: "a chunk longer than its size", by: "chunk-overrun", answer: cut },
  { fault: "no length, ended by closing", by: "no-length-then-close", answer: whole },

  { fault: "Content-Length twice, the same", by: "length-twice-same", answer: invalid },
  { fault: "Content-Length twice, different", by: "length-twice-different", answer: unreachable },
  { fault: "Content-Length with chunked", by: "length-with-chunked", answer: invalid },
  { fault: "negative Content-Length", by: "length-negative", answer: unreachable },
  { fault: "Content-Length that is no number", by: "length-not-a-number", answer: unreachable },
  { fault: "Content-Length over 2^64", by: "length-over-2-64", answer: unreachable },
  { fault: "unknown transfer coding", by: "unknown-transfer-coding", answer: invalid },

  { fault: "status 42", by: "status-42", answer: unreachable },
  { fault: "status 099", by: "status-099", answer: unreachable },
  { fault: "status 600", by: "status-600", answer: invalid },
  { fault: "status 678", by: "status-678", answer: invalid },
  { fault: "status 999", by: "status-999", answer: invalid },
  { fault: "no status", by: "status-missing", answer: unreachable },
  { fault: "100 before the answer", by: "interim-100", answer: whole },
  { fault: "101 that nobody asked for", by: "interim-101", answer: invalid },
  { fault: "102 before the answer", by: "interim-102", answer: whole },
  { fault: "103 before the answer", by: "interim-103", answer: whole },

  { fault: "a header of 200 KB", by: "header-of-200-kb", answer: whole },
  { fault: "5,000 headers", by: "headers-5000", answer: whole },
  { fault: "a header of 4 MB", by: "header-of-4-mb", answer: unreachable },
  { fault: "a header line without a colon", by: "header-without-colon", answer: unreachable },
  { fault: "a header line without a name", by: "header-with-empty-name", answer: unreachable },
  { fault: "a space before the colon", by: "header-with-space-before-colon", answer: unreachable },
  { fault: "NUL in a header", by: "header-with-nul", answer: unreachable },
  { fault: "CR in a header", by: "header-with-cr", answer: unreachable },
  { fault: "an HTTP/0.9 answer", by: "version-0.9", answer: unreachable },
  { fault: "not HTTP at all", by: "version-nonsense", answer: unreachable },
  { fault: "two answers at once", by: "two-answers", answer: whole },
  { fault: "a body on 204", by: "body-on-204", answer: { status: 204, body: "" } },
  { fault: "gzip that is not gzip", by: "gzip-that-is-not", answer: whole },
];

/** A row as docs/design/faults.md shows it. */
export function documentedRow(row: FaultRow): string {
  return `| ${row.fault} | ${describe(row.answer)} |`;
}

function describe(answer: DefinedAnswer): string {
  if ("code" in answer) return `${answer.status} \`${answer.code}\``;
  if ("cut" in answer) return "200, visibly cut";
  return `${answer.status}, passed on whole`;
}
