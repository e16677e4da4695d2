import { describe, expect, it } from "vitest";
import { climbs, pathViews } from "../../../worker/path-views.ts";

describe("other readings of a path", () => {
  it.each(["/", "/api/users/1", "/a.b/c-d_e~f", "/.well-known/x", "/a=b,c+d"])("has none for %s", (path) => {
    expect(pathViews(path)).toEqual([]);
  });

  it.each([
    ["/public/..%2fadmin", "/admin"],
    ["/public/..%5Cadmin", "/admin"],
    ["/public/%252e%252e/admin", "/admin"],
    ["/public/%252e%252e%252fadmin", "/admin"],
    ["/public/..;/admin", "/admin"],
    ["/public/..;a=b/admin", "/admin"],
    ["/admin;x=1", "/admin"],
    ["//admin", "/admin"],
    ["/public/%c0%ae%c0%ae/admin", "/admin"],
    ["/public/%ef%bc%8e%ef%bc%8e/admin", "/admin"],
    ["/public/..%c0%afadmin", "/admin"],
    ["/%61dmin", "/admin"],
    ["/public//..%2f..//admin", "/admin"],
  ])("reads %s also as %s", (path, view) => {
    expect(pathViews(path)).toContain(view);
  });

  it("reads an encoded slash as data of the same place too, so that a route below decides", () => {
    expect(pathViews("/projects/group%2Frepo")).toEqual(["/projects/group/repo"]);
  });

  it.each(["/caf%C3%A9/x", "/secret%20area", "/100%25"])(
    "has none for %s, whose escapes stand for characters that need them",
    (path) => {
      expect(pathViews(path)).toEqual([]);
    },
  );

  it.each([
    ["/caf%c3%a9", "/caf%C3%A9"],
    ["/%73ecret%20area", "/secret%20area"],
    ["/secret%2520area", "/secret%20area"],
    ["/a|b%2fc", "/a%7Cb/c"],
  ])("reads %s also as %s, which is how a route's path writes it", (path, view) => {
    expect(pathViews(path)).toContain(view);
  });
});

describe("a path that is joined to a target's own", () => {
  it.each([
    "/..%2fx",
    "/a/..%2f..%2fx",
    "/%2e%2e%2fx",
    "/..%5cx",
    "/%252e%252e%252fx",
    "/..;/x",
    "/a//..%2f..%2fx",
    "/%c0%ae%c0%ae/x",
  ])("climbs above it as %s", (path) => {
    expect(climbs(path)).toBe(true);
  });

  it.each(["", "/", "/a%2Fb", "/a/..%2fb", "/a%2fb/..%2fc", "/a..%2fb", "/...%2fb"])("stays below it as %s", (path) => {
    expect(climbs(path)).toBe(false);
  });
});
