import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { namesOf, valueOf, valuesOf } from "../support/message-head.ts";
import { send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { problemOf } from "../support/problem.ts";
import { ask, type RawAnswer } from "../support/raw-client.ts";
import type { RawRequest } from "../support/raw-request.ts";

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      routes: [
        { prefix: "/bare", target: origin.url },
        {
          prefix: "/limited",
          target: origin.url,
          // Only the owner decides, however busy the machine is.
          rateLimit: { requestsPerWindow: 2, windowSeconds: 3600, onError: "closed", deadline: "20s" },
        },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

describe("towards the client", () => {
  test("several cookies stay several, in their order", async () => {
    const answer = await answerOf(
      "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2, c\r\nSet-Cookie: a=3\r\nContent-Length: 0\r\n\r\n",
    );
    expect(valuesOf(answer.headers, "set-cookie")).toEqual(["a=1; Path=/", "b=2, c", "a=3"]);
  });

  test("fields of the origin's connection stay there, those that its Connection names too", async () => {
    const answer = await answerOf(
      "Connection: X-Internal, close\r\nX-Internal: 1\r\nKeep-Alive: timeout=9\r\nProxy-Authenticate: Basic\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nTE: trailers\r\nTrailer: X-T\r\nX-Public: 2\r\nContent-Length: 0\r\n\r\n",
    );
    const names = namesOf(answer.headers);
    const ofTheConnection = [
      "x-internal",
      "keep-alive",
      "proxy-authenticate",
      "proxy-connection",
      "upgrade",
      "te",
      "trailer",
    ];
    expect(ofTheConnection.filter((name) => names.includes(name))).toEqual([]);
    expect(valuesOf(answer.headers, "connection")).not.toContain("X-Internal, close");
    expect(valueOf(answer.headers, "x-public")).toBe("2");
  });

  test("a Connection that names what must not go is not obeyed", async () => {
    const answer = await answerOf(
      "Connection: Content-Length, X-Request-ID, Set-Cookie\r\nSet-Cookie: a=1\r\nContent-Length: 5\r\n\r\nhello",
    );
    expect([answer.body.toString(), answer.end, valuesOf(answer.headers, "x-request-id").length]).toEqual([
      "hello",
      "length",
      1,
    ]);
  });

  test("the gateway adds its own fields once", async () => {
    const answer = await answerOf("X-Request-ID: origin\r\nX-Response-Time: origin\r\nContent-Length: 0\r\n\r\n");
    expect(valueOf(answer.headers, "x-request-id")).not.toBe("origin");
    expect(valueOf(answer.headers, "x-response-time")).toMatch(/^\d+$/);
  });

  test("HEAD keeps the length of the body that GET would have", async () => {
    const answer = await answerOf('Content-Length: 12345\r\nETag: "x"\r\n\r\n', { method: "HEAD" });
    expect([
      answer.status,
      valueOf(answer.headers, "content-length"),
      valueOf(answer.headers, "etag"),
      answer.end,
    ]).toEqual([200, "12345", '"x"', "none"]);
  });

  test.each([
    ["204 No Content", "", 204],
    ["304 Not Modified", 'ETag: "x"\r\n', 304],
    ["205 Reset Content", "Content-Length: 0\r\n", 205],
  ])("%s has no body", async (line, headers, status) => {
    const answer = await answerOf(`${headers}\r\n`, {}, line);
    expect([answer.status, answer.body.length]).toEqual([status, 0]);
    if (status === 304) expect(valueOf(answer.headers, "etag")).toBe('"x"');
  });

  test.each(["200", "203", "206", "299", "400", "404", "418", "451", "500", "503", "599"])(
    "the status %s of the origin is the client's",
    async (status) => {
      const answer = await answerOf("Content-Length: 2\r\n\r\nno", {}, `${status} Some Reason`);
      expect([answer.status, answer.body.toString(), problemOf(answer)]).toEqual([Number(status), "no", undefined]);
    },
  );

  test.each(["301", "302", "303", "307", "308"])("a %s is passed on, not followed", async (status) => {
    const before = origin.seen.length;
    const location = `${origin.url}/internal?a=1`;
    const answer = await answerOf(`Location: ${location}\r\nContent-Length: 0\r\n\r\n`, {}, `${status} Moved`);
    expect([answer.status, valueOf(answer.headers, "location"), origin.seen.length - before]).toEqual([
      Number(status),
      location,
      1,
    ]);
  });

  test("a header of 200 KB and 1,000 headers arrive whole", async () => {
    const many = Array.from({ length: 1000 }, (_, index) => `x-many-${index}: ${index}`);
    const answer = await answerOf(
      `X-Large: ${"x".repeat(200_000)}\r\n${many.join("\r\n")}\r\nContent-Length: 0\r\n\r\n`,
    );
    expect([
      valueOf(answer.headers, "x-large")?.length,
      namesOf(answer.headers).filter((name) => name.startsWith("x-many-")).length,
    ]).toEqual([200_000, 1000]);
  });

  test("bytes that are no UTF-8 in a value arrive as they are", async () => {
    const answer = await answerOf("X-Odd: caf\xe9 \xc3\xa9\r\nContent-Length: 0\r\n\r\n");
    expect(valueOf(answer.headers, "x-odd")).toBe("caf\xe9 \xc3\xa9");
  });
});

test("a limited client learns its quota, what is left, and when to return", async () => {
  const answers = [
    await ask(gateway.url, { target: "/limited/a" }),
    await ask(gateway.url, { target: "/limited/a" }),
    await ask(gateway.url, { target: "/limited/a" }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
  const [policy, ...same] = new Set(answers.map(({ headers }) => valueOf(headers, "ratelimit-policy")));
  expect(same).toEqual([]);
  expect(policy).toMatch(/^"[\w-]+";q=2;w=3600;pk=:[A-Za-z0-9+/=]+:$/);
  const left = answers.map(({ headers }) =>
    /^"[\w-]+";r=(\d+)(;t=\d+)?;pk=:[A-Za-z0-9+/=]+:$/.exec(valueOf(headers, "ratelimit") ?? "")?.slice(1),
  );
  const [, , refused] = answers;
  const retryAfter = refused && valueOf(refused.headers, "retry-after");
  expect(left).toEqual([
    ["1", undefined],
    ["0", undefined],
    ["0", `;t=${retryAfter}`],
  ]);
  expect(Number(retryAfter)).toBeGreaterThanOrEqual(1);
  expect(Number(retryAfter)).toBeLessThanOrEqual(1800);
  expect(refused && problemOf(refused)).toEqual({ status: 429, code: "quota-exceeded" });
});

let scripted = 0;

/** What the client gets when the origin answers exactly this. */
function answerOf(
  headersAndBody: string,
  options: Partial<RawRequest> = {},
  statusLine = "200 OK",
): Promise<RawAnswer> {
  scripted += 1;
  origin.answer(`/scripted/${scripted}`, send(`HTTP/1.1 ${statusLine}\r\n${headersAndBody}`));
  return ask(gateway.url, { ...options, target: `/bare/scripted/${scripted}` });
}
