import { describe, expect, it } from "vitest";
import { compileClientReader, type Client } from "../../worker/client.ts";

const BEHIND = {
  source: "header",
  header: "x-forwarded-for",
  trustedProxies: ["10.0.0.0/8", "2001:db8:ffff::/48"],
} as const;

function fromSocket(peer: string, headers: Record<string, string> = {}): Request {
  return new Request("http://gateway.test/", { headers, cf: { clientIp: peer } });
}

function seen(read: (request: Request, scheme: "http") => Client, request: Request): string {
  return read(request, "http").address;
}

describe("the client's address", () => {
  it("is the peer of the socket, whatever the client claims", () => {
    const read = compileClientReader({ source: "socket" }, "socket");
    const request = fromSocket("192.0.2.7:40000", {
      "cf-connecting-ip": "9.9.9.9",
      "x-forwarded-for": "8.8.8.8",
      "x-forwarded-proto": "https",
    });
    expect(read(request, "http")).toEqual({
      address: "192.0.2.7",
      network: "192.0.2.7",
      forwardedFor: "192.0.2.7",
      scheme: "http",
    });
  });

  it("counts an IPv6 client by its /64 and a mapped IPv4 one as what it is", () => {
    const read = compileClientReader({ source: "socket" }, "socket");
    expect(read(fromSocket("[2001:db8:1:2:3:4:5:6]:443"), "http")).toMatchObject({
      address: "2001:db8:1:2:3:4:5:6",
      network: "2001:db8:1:2::/64",
    });
    expect(read(fromSocket("[::ffff:192.0.2.7]:443"), "http")).toMatchObject({
      address: "192.0.2.7",
      network: "192.0.2.7",
    });
  });

  it("is what the edge says on Cloudflare", () => {
    const read = compileClientReader({ source: "cloudflare" }, "cloudflare");
    const request = new Request("http://gateway.test/", { headers: { "cf-connecting-ip": "192.0.2.9" } });
    expect(seen(read, request)).toBe("192.0.2.9");
  });

  it.each([
    ["no proxy of ours: the header is not believed", "192.0.2.7:1", "8.8.8.8", "192.0.2.7"],
    ["one proxy", "10.0.0.1:1", "192.0.2.7", "192.0.2.7"],
    ["two proxies", "10.0.0.1:1", "192.0.2.7, 10.9.9.9", "192.0.2.7"],
    ["what the client wrote before the proxies is ignored", "10.0.0.1:1", "6.6.6.6, 192.0.2.7, 10.9.9.9", "192.0.2.7"],
    ["a trusted address forged to the left", "10.0.0.1:1", "10.1.1.1, 192.0.2.7", "192.0.2.7"],
    ["only proxies", "10.0.0.1:1", "10.2.2.2, 10.9.9.9", "10.2.2.2"],
    ["nonsense ends the walk at the last hop that is known", "10.0.0.1:1", "192.0.2.7, nonsense, 10.9.9.9", "10.9.9.9"],
    ["ports and IPv6", "10.0.0.1:1", "[2001:db8::7]:4711, 2001:db8:ffff::1", "2001:db8::7"],
    ["an empty header", "10.0.0.1:1", "", "10.0.0.1"],
  ])("behind named proxies is the rightmost that is none of them: %s", (_case, peer, header, address) => {
    expect(seen(compileClientReader(BEHIND, "socket"), fromSocket(peer, { "x-forwarded-for": header }))).toBe(address);
  });

  it("tells the origin the chain from the client on, and the scheme that a trusted proxy saw", () => {
    const read = compileClientReader(BEHIND, "socket");
    const headers = { "x-forwarded-for": "6.6.6.6, 192.0.2.7, 10.9.9.9", "x-forwarded-proto": "https" };
    expect(read(fromSocket("10.0.0.1:1", headers), "http")).toMatchObject({
      forwardedFor: "192.0.2.7, 10.9.9.9, 10.0.0.1",
      scheme: "https",
    });
    expect(read(fromSocket("192.0.2.1:1", headers), "http")).toMatchObject({
      forwardedFor: "192.0.2.1",
      scheme: "http",
    });
  });

  it("is an error, never a bucket shared by everyone, when the source does not deliver", () => {
    const edge = compileClientReader({ source: "cloudflare" }, "cloudflare");
    const socket = compileClientReader({ source: "socket" }, "socket");
    const bare = new Request("http://gateway.test/");
    expect(() => edge(bare, "http")).toThrow('set CLIENT_IP_SOURCE to "socket"');
    expect(() => socket(bare, "http")).toThrow('set CLIENT_IP_SOURCE to "cloudflare"');
  });
});
