import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCanonical } from "../../../worker/canonical.ts";

function pathOf(url: string): string {
  const parsed = parseCanonical("GET", url);
  return parsed.ok ? parsed.request.path : `refused: ${parsed.detail}`;
}

describe("the canonical request", () => {
  it("keeps an ordinary URL as it is", () => {
    expect(parseCanonical("GET", "https://api.example.com:8443/v1/users?b=2&a=1&b=%zz")).toEqual({
      ok: true,
      request: {
        method: "GET",
        scheme: "https",
        host: "api.example.com:8443",
        path: "/v1/users",
        query: "?b=2&a=1&b=%zz",
      },
    });
  });

  it.each([
    ["http://h/public/%2e%2e/admin", "/admin"],
    ["http://h/a/./b/.%2E/c", "/a/c"],
    ["http://h/.well-known/x", "/.well-known/x"],
    ["http://h/a%2Fb", "/a%2Fb"],
    ["http://h//evil.test/x", "//evil.test/x"],
    ["http://h/%61pi", "/%61pi"],
    ["http://h", "/"],
    ["http://h?x=1", "/"],
    ["http://h/a b", "/a%20b"],
  ])("reads %s as %s", (url, path) => {
    expect(pathOf(url)).toBe(path);
  });

  it.each([
    "http://h/a%",
    "http://h/a%2",
    "http://h/a%zz",
    "http://h/%00",
    "http://h/x%0d%0aSet-Cookie:a",
    "http://h/x%0A",
    "http://h/a\\b",
    "http://h/\\..\\admin",
    "http://h/a\u0001",
    "http://h/?q=\u007f",
    "http://h\\evil/x",
  ])("refuses %j", (url) => {
    expect(parseCanonical("GET", url).ok).toBe(false);
  });

  it("drops a port that is the scheme's own, as URL parsing does", () => {
    expect(parseCanonical("GET", "http://H.example:80/x")).toMatchObject({ request: { host: "h.example" } });
    expect(parseCanonical("GET", "http://h.example:80/x")).toMatchObject({ request: { host: "h.example" } });
    expect(parseCanonical("GET", "http://h.example:080/x")).toMatchObject({ request: { host: "h.example" } });
  });

  it("drops a host's root dot, so that no route or wildcard is walked around with it", () => {
    expect(parseCanonical("GET", "http://api.example.com./x")).toMatchObject({ request: { host: "api.example.com" } });
    expect(parseCanonical("GET", "http://api.example.com.:8443/x")).toMatchObject({
      request: { host: "api.example.com:8443" },
    });
  });

  it("is a fixed point: what is forwarded is parsed to what was decided about", () => {
    const piece = fc.constantFrom(
      "a",
      "B",
      ".",
      "..",
      "%2e",
      "%2F",
      "/",
      "//",
      ";x=1",
      "?",
      "=",
      "&",
      "%25",
      "é",
      " ",
      "#",
      "+",
      "@",
      ":",
      "~",
      "'",
      '"',
      "|",
      "^",
      "`",
      "{",
      "%c0%ae",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const parsed = parseCanonical("GET", `http://h.example/${pieces.join("")}`);
        if (!parsed.ok) return;
        const { scheme, host, path, query } = parsed.request;
        const again = new URL(`${scheme}://${host}${path}${query}`);
        expect([again.pathname, again.search]).toEqual([path, query === "?" ? "" : query]);
        expect(parseCanonical("GET", again.href)).toMatchObject({ ok: true, request: { path } });
      }),
      { numRuns: 5000 },
    );
  });

  it("never throws, whatever the URL", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (rest) => {
        expect(typeof parseCanonical("GET", `http://h/${rest}`).ok).toBe("boolean");
      }),
      { numRuns: 2000 },
    );
  });
});
