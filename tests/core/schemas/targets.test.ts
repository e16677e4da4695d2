import { describe, expect, it } from "vitest";
import { configOf, problemsOf } from "./documents.ts";

function problemsOfTarget(target: string, allowPrivateTargets = false): readonly object[] {
  return problemsOf({ allowPrivateTargets, routes: [{ prefix: "/", target }] });
}

const HTTP = 'an absolute http or https URL, such as "https://api.example.com/v1"';
const CHARACTERS = "an absolute http or https URL without spaces, control characters and backslashes";
const USER_INFO = "an absolute http or https URL without user name and password; send credentials in a header";

describe("a target", () => {
  it.each([
    ["https://api.example.com"],
    ["http://api.example.com:8080/v1/"],
    ["HTTPS://API.example.com/%41"],
    ["https://8.8.8.8"],
    ["https://[2606:4700::1111]/"],
    ["https://localhost.example.com"],
    ["https://internal.example.com"],
    ["https://bücher.example/"],
    ["https://api.example.com/@scope"],
  ])("may be %s", (target) => {
    expect(problemsOfTarget(target)).toEqual([]);
  });

  it("keeps the URL as written", () => {
    const { backends } = configOf({ routes: [{ prefix: "/", target: "https://API.example.com" }] });
    expect(backends.get("route:/")?.targets).toEqual([{ url: "https://API.example.com", weight: 1, drain: false }]);
  });

  it.each([
    ["file:///etc/passwd", HTTP],
    ["ftp://example.com", HTTP],
    ["gopher://example.com", HTTP],
    ["javascript:alert(1)", HTTP],
    ["//example.com", HTTP],
    ["example.com", HTTP],
    ["/api", HTTP],
    ["", HTTP],
    ["http:example.com", HTTP],
    ["http:/example.com", HTTP],
    ["http:///example.com", HTTP],
    ["https://", HTTP],
    ["https://exa%20mple.com", HTTP],
    ["https://example.com:99999", HTTP],
    ["https://[::1", HTTP],
    ["https://256.256.256.256", HTTP],
    ["http:\\\\example.com", CHARACTERS],
    ["https://exam\tple.com", CHARACTERS],
    ["https://example.com/\n", CHARACTERS],
    [" https://example.com", CHARACTERS],
    ["https://user:pw@example.com", USER_INFO],
    ["https://user@example.com", USER_INFO],
    ["https://@example.com", USER_INFO],
    ["https://:@example.com", USER_INFO],
    ["wss://example.com/live", "an absolute http or https URL: WebSockets are dialled by these, too"],
    ["https://example.com/?a=1", "an absolute http or https URL without a query"],
    ["https://example.com?", "an absolute http or https URL without a query"],
    [`https://example.com/${"a".repeat(2_029)}`, "an absolute http or https URL of at most 2,048 characters"],
    ["https://example.com/#top", "an absolute http or https URL without a fragment"],
    ["https://example.com#", "an absolute http or https URL without a fragment"],
  ])("is refused, private or not, when it is %j", (target, wanted) => {
    expect(problemsOfTarget(target, true)).toEqual([{ path: "routes[0].target", got: expect.any(String), wanted }]);
  });

  it.each([
    ["http://localhost"],
    ["http://localhost."],
    ["http://LOCALHOST:8080/x"],
    ["http://api.localhost"],
    ["http://api.localhost."],
    ["http://127.0.0.1"],
    ["http://127.1"],
    ["http://2130706433"],
    ["http://0x7f.1"],
    ["http://0x7f000001"],
    ["http://0177.0.0.1"],
    ["http://017700000001"],
    ["http://127.0.0.1."],
    ["http://①②⑦.0.0.1"],
    ["http://１２７.０.０.１"],
    ["http://127。0。0。1"],
    ["http://%31%32%37.0.0.1"],
    ["http://0.0.0.0"],
    ["http://0"],
    ["http://10.1.2.3"],
    ["http://100.64.0.1"],
    ["http://100.127.255.255"],
    ["http://169.254.169.254/latest/meta-data/"],
    ["http://2852039166"],
    ["http://172.16.0.1"],
    ["http://172.31.255.255"],
    ["http://192.168.0.1"],
    ["http://192.0.0.170"],
    ["http://192.0.2.1"],
    ["http://198.18.0.1"],
    ["http://198.51.100.1"],
    ["http://203.0.113.1"],
    ["http://224.0.0.1"],
    ["http://240.0.0.1"],
    ["http://255.255.255.255"],
    ["http://[::]"],
    ["http://[::1]"],
    ["http://[0:0:0:0:0:0:0:1]:8080"],
    ["http://[::ffff:127.0.0.1]"],
    ["http://[::ffff:7f00:1]"],
    ["http://[::ffff:8.8.8.8]"],
    ["http://[::127.0.0.1]"],
    ["http://[64:ff9b::10.0.0.1]"],
    ["http://[64:ff9b:1::1]"],
    ["http://[100::1]"],
    ["http://[2001::1]"],
    ["http://[2001:db8::1]"],
    ["http://[2002:7f00:1::]"],
    ["http://[fc00::1]"],
    ["http://[fd00:ec2::254]"],
    ["http://[fe80::1]"],
    ["http://[febf::1]"],
    ["http://[fec0::1]"],
    ["http://[ff02::1]"],
    ["http://metadata.google.internal/computeMetadata/v1/"],
    ["http://METADATA.google.internal."],
    ["http://instance-data.ec2.internal"],
    ["http://anything.internal"],
    ["http://internal"],
    ["http://printer.local"],
    ["http://router.lan"],
    ["http://nas.home.arpa"],
    ["http://localhost.localdomain"],
  ])("is private, and so refused unless that is allowed: %s", (target) => {
    expect(problemsOfTarget(target)).toEqual([
      {
        path: "routes[0].target",
        got: JSON.stringify(target),
        wanted:
          'a public host; for a private, loopback or link-local one set "allowPrivateTargets": true at the top level',
      },
    ]);
    expect(problemsOfTarget(target, true)).toEqual([]);
  });

  it.each([
    ["http://9.255.255.255"],
    ["http://11.0.0.0"],
    ["http://100.63.255.255"],
    ["http://100.128.0.0"],
    ["http://126.255.255.255"],
    ["http://172.15.255.255"],
    ["http://172.32.0.0"],
    ["http://223.255.255.255"],
    ["http://[2001:200::1]"],
    ["http://[2003::1]"],
  ])("just outside a private block is public: %s", (target) => {
    expect(problemsOfTarget(target)).toEqual([]);
  });

  it("of a backend is held to the same", () => {
    const backends = {
      b: { targets: [{ url: "https://b.example.com" }, { url: "http://127.1" }, { url: "file:///x" }] },
    };
    expect(problemsOf({ backends })).toMatchObject([
      { path: "backends.b.targets[2].url", wanted: HTTP },
      { path: "backends.b.targets[1].url", got: '"http://127.1"' },
    ]);
  });
});
