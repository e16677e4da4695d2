import { describe, expect, it } from "vitest";
import { pathViews } from "../../../worker/path-views.ts";

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
});
