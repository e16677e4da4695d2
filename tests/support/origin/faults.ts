import { type Act, close, hang, reset, send, trickle } from "./act.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const HELLO = `${OK}Content-Length: 5\r\n\r\nhello`;
/** Over the 64 KiB that the gateway holds back before it answers, so that the body is streamed. */
const LARGE = 1_048_576;
const PART_OF_LARGE = "x".repeat(100_000);

/** A final status line with an empty body, the connection left open. */
const status = (code: string): readonly Act[] => [send(`HTTP/1.1 ${code} Odd\r\nContent-Length: 0\r\n\r\n`)];
/** An interim answer and then a sound final one. */
const interim = (line: string): readonly Act[] => [send(`HTTP/1.1 ${line}\r\n\r\n${HELLO}`)];
/** A sound answer whose extra header line is the fault. */
const withHeader = (line: string): readonly Act[] => [send(`${OK}${line}\r\nContent-Length: 5\r\n\r\nhello`)];

/** Every way this origin can misbehave once it has read a whole request, by the name used in its path `/fault/NAME`. */
export const faults = {
  "close-before-head": [close],
  "reset-before-head": [reset],
  "reset-in-head": [send(`${OK}Content-Le`), reset],
  "close-in-head": [send(`${OK}Content-Le`), close],
  "reset-in-small-body": [send(`${OK}Content-Length: 10\r\n\r\nhello`), reset],
  "reset-in-large-body": [send(`${OK}Content-Length: ${LARGE}\r\n\r\n${PART_OF_LARGE}`), reset],
  "reset-in-chunked-body": [send(`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`), reset],
  "hang-before-head": [hang],
  "hang-in-head": [send(`${OK}Content-Le`), hang],
  "hang-in-small-body": [send(`${OK}Content-Length: 10\r\n\r\nhello`), hang],
  "hang-in-large-body": [send(`${OK}Content-Length: ${LARGE}\r\n\r\n${PART_OF_LARGE}`), hang],
  "hang-in-chunked-body": [send(`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`), hang],
  "head-byte-by-byte": [trickle(HELLO.slice(0, -5), 5), send("hello")],
  "head-byte-by-byte-past-deadline": [trickle(HELLO.slice(0, -5), 50), send("hello")],
  "small-body-byte-by-byte": [send(`${OK}Content-Length: 5\r\n\r\n`), trickle("hello", 150)],
  "chunked-body-byte-by-byte": [
    send(`${OK}Transfer-Encoding: chunked\r\n\r\n`),
    trickle("5\r\nhello\r\n0\r\n\r\n", 120),
  ],
  "truncated-small-length": [send(`${OK}Content-Length: 10\r\n\r\nhello`), close],
  "truncated-large-length": [send(`${OK}Content-Length: ${LARGE}\r\n\r\n${PART_OF_LARGE}`), close],
  "truncated-in-chunk": [send(`${OK}Transfer-Encoding: chunked\r\n\r\na\r\nhello`), close],
  "truncated-between-chunks": [send(`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`), close],
  "bad-chunk-size": [send(`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nhello\r\n0\r\n\r\n`), close],
  "chunk-overrun": [send(`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello world\r\n0\r\n\r\n`), close],
  "length-twice-same": withHeader("Content-Length: 5"),
  "length-twice-different": withHeader("Content-Length: 6"),
  "length-with-chunked": [send(`${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`)],
  "length-negative": [send(`${OK}Content-Length: -5\r\n\r\nhello`), close],
  "length-not-a-number": [send(`${OK}Content-Length: five\r\n\r\nhello`), close],
  "length-over-2-64": [send(`${OK}Content-Length: 18446744073709551617\r\n\r\nhello`), close],
  "unknown-transfer-coding": [send(`${OK}Transfer-Encoding: cow\r\n\r\nhello`), close],
  "status-42": status("42"),
  "status-099": status("099"),
  "status-600": status("600"),
  "status-678": status("678"),
  "status-999": status("999"),
  "status-missing": [send("HTTP/1.1 \r\nContent-Length: 0\r\n\r\n"), close],
  "interim-100": interim("100 Continue"),
  "interim-101": interim("101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket"),
  "interim-102": interim("102 Processing"),
  "interim-103": interim("103 Early Hints\r\nLink: </style.css>; rel=preload"),
  "header-of-200-kb": withHeader(`X-Large: ${"x".repeat(200_000)}`),
  "header-of-4-mb": withHeader(`X-Large: ${"x".repeat(4_000_000)}`),
  "headers-5000": withHeader(Array.from({ length: 5000 }, (_, index) => `X-Many-${index}: 1`).join("\r\n")),
  "header-without-colon": withHeader("this line has none"),
  "header-with-nul": withHeader("X-Odd: a\0b"),
  "header-with-cr": withHeader("X-Odd: a\rX-Injected: 1"),
  "header-with-empty-name": withHeader(": nameless"),
  "header-with-space-before-colon": withHeader("X-Odd : 1"),
  "version-0.9": [send("hello, I am HTTP/0.9"), close],
  "version-nonsense": [send("HTTQ/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), close],
  "two-answers": [send(`${HELLO}${OK}Content-Length: 7\r\nX-Surplus: 1\r\n\r\nsurplus`)],
  "body-on-204": [send("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")],
  "gzip-that-is-not": [send(`${OK}Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello`)],
  "no-length-then-close": [send(`${OK}\r\nhello`), close],
} satisfies Record<string, readonly Act[]>;

/** The name of a fault. */
export type FaultName = keyof typeof faults;

/** Whether a path's last segment names a fault. */
export function isFault(name: string): name is FaultName {
  return Object.hasOwn(faults, name);
}
