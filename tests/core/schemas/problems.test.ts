import { describe, expect, it } from "vitest";
import { ROUTE, problemsOf, routeProblems } from "./documents.ts";

const DURATION = 'a duration such as "500ms", "30s", "5m", "1h" or "1d"';

describe("what is wrong with a document", () => {
  it("is reported all at once, with path, got and wanted", () => {
    const document = {
      routs: [],
      routes: [
        { prefix: "/a", target: "http://10.0.0.1/", timeout: {}, timeouts: { headers: "10 s", total: 0 } },
        { prefix: "b", backend: "lcal", methods: ["TRACE"] },
        [],
      ],
      backends: { local: { targets: [{ url: "ftp://files.example.com", wieght: 1 }] } },
      rateLimit: { requestsPerWindow: 1.5, by: ["ip", "user"] },
    };
    expect(problemsOf(document)).toEqual([
      {
        path: "routes[0].timeouts.headers",
        got: '"10 s"',
        wanted: `${DURATION} or a number of milliseconds, from 1ms to 1d`,
      },
      { path: "routes[0].timeouts.total", got: "0", wanted: `${DURATION} or a number of milliseconds, from 1ms to 1d` },
      { path: "routes[0].timeout", got: 'the key "timeout"', wanted: 'a known key; did you mean "timeouts"?' },
      { path: "routes[1].prefix", got: '"b"', wanted: 'a path that starts with "/"' },
      {
        path: "routes[1].methods[0]",
        got: '"TRACE"',
        wanted: 'a method such as "GET" (TRACE and CONNECT are never forwarded)',
      },
      { path: "routes[2]", got: "an empty array", wanted: "an object" },
      {
        path: "backends.local.targets[0].url",
        got: '"ftp://files.example.com"',
        wanted: 'an absolute http or https URL, such as "https://api.example.com/v1"',
      },
      {
        path: "backends.local.targets[0].wieght",
        got: 'the key "wieght"',
        wanted: 'a known key; did you mean "weight"?',
      },
      { path: "rateLimit.requestsPerWindow", got: "1.5", wanted: "a whole number, at least 1" },
      {
        path: "rateLimit.by[1]",
        got: '"user"',
        wanted:
          '"ip", "all", "route", "principal", "consumer", "header:NAME", "cookie:NAME" or "claim:NAME", or an array of these',
      },
      { path: "rateLimit.windowSeconds", got: "nothing", wanted: 'exactly one of "windowSeconds" and "window"' },
      { path: "routs", got: 'the key "routs"', wanted: 'a known key; did you mean "routes"?' },
      { path: "routes[1].backend", got: '"lcal"', wanted: 'the name of a backend; did you mean "local"?' },
      {
        path: "routes[0].target",
        got: '"http://10.0.0.1/"',
        wanted:
          'a public host; for a private, loopback or link-local one set "allowPrivateTargets": true at the top level',
      },
    ]);
  });

  it.each([
    [null, "null"],
    [[], "an empty array"],
    ["{}", '"{}"'],
    [7, "7"],
    [true, "true"],
  ])("is the whole of it when it is %j", (document, got) => {
    expect(problemsOf(document)).toEqual([{ path: "", got, wanted: "an object" }]);
  });

  it.each([
    ["undefined", undefined, "", "nothing"],
    ["a function", () => 1, "", "a function"],
    ["NaN", { routes: Number.NaN }, "routes", "NaN"],
    ["a date", { routes: new Date(0) }, "routes", "an object that is no plain one"],
  ])("is that JSON could not hold it: %s", (_title, document, path, got) => {
    expect(problemsOf(document)).toEqual([{ path, got, wanted: "a value that JSON can hold" }]);
  });

  it("never shows a password", () => {
    const urls = [
      "https://user:pa55@h.example.com",
      "https://user:pa55/x@h.example.com",
      "http:\\\\user:pa55@h",
      "ftp://u:pa55@h",
    ];
    const problems = problemsOf({ routes: urls.map((target, index) => ({ prefix: `/${index}`, target })) });
    expect(problems).toHaveLength(urls.length);
    expect(JSON.stringify(problems)).not.toContain("pa55");
  });

  it("is said shortly", () => {
    const [problem] = problemsOf({ clientIp: "x".repeat(10_000) });
    expect(problem?.got).toBe(`"${"x".repeat(80)}..."`);
  });
});

describe("the keys of prototypes", () => {
  const wanted = "another name: this one reaches into every object";

  it.each(["__proto__", "constructor", "prototype"])("are refused wherever they are: %s", (key) => {
    const text = `{ "${key}": { "admin": true }, "cors": { "deep": [{ "${key}": 1 }] }, "backends": { "${key}": {} }, "routes": [{ "headers": { "${key}": true } }] }`;
    const paths = [key, `cors.deep[0].${key}`, `backends.${key}`, `routes[0].headers.${key}`];
    const refused = problemsOf(JSON.parse(text)).filter((problem) => problem.wanted === wanted);
    expect(refused).toEqual(paths.map((path) => ({ path, got: `the key "${key}"`, wanted })));
    expect(Object.hasOwn(Object.prototype, "admin")).toBe(false);
  });

  it("are harmless as values, and under another case", () => {
    const route = { ...ROUTE, id: "constructor", headers: { __PROTO__: "x" }, query: { toString: "1" } };
    expect(routeProblems(route)).toEqual([]);
  });

  it.each(["toString", "hasOwnProperty", "valueOf"])("are not the only ones: %s is an unknown key", (key) => {
    expect(problemsOf({ [key]: 1 })).toMatchObject([{ path: key, got: `the key "${key}"` }]);
  });
});

describe("what two parts say about each other", () => {
  it("is checked although another part of the route is wrong", () => {
    const problems = problemsOf({
      routes: [
        { prefix: "/a", backend: "b", typo: 1 },
        { ...ROUTE, prefix: "/a/", ttl: 1 },
      ],
    });
    expect(problems.map(({ path }) => path)).toEqual([
      "routes[0].typo",
      "routes[1].ttl",
      "routes[1]",
      "routes[0].backend",
    ]);
  });
});
