import { describe, expect, it } from "vitest";
import { isNotModified, notModifiedFields } from "../../../worker/cache/conditional.ts";
import { readerOf } from "../../../worker/cache/fields.ts";
import { afterHead, confirmed, validatorsOf } from "../../../worker/cache/revalidation.ts";
import { NOW, dated, fieldsOf, reading, stored } from "./fixtures.ts";

describe("a requester has what is stored", () => {
  it.each<[string, Record<string, string>, Record<string, string>, boolean]>([
    ["by its tag", { etag: '"a"' }, { "if-none-match": '"a"' }, true],
    ["by one of several tags", { etag: '"a"' }, { "if-none-match": '"x", "a","y"' }, true],
    ["by its tag, compared weakly", { etag: 'W/"a"' }, { "if-none-match": '"a"' }, true],
    ["by a weak tag of a strong one", { etag: '"a"' }, { "if-none-match": 'W/"a"' }, true],
    ["by a tag with a comma", { etag: '"a,b"' }, { "if-none-match": '"x", "a,b"' }, true],
    ["by a tag with a Latin letter", { etag: '"abcdefü"' }, { "if-none-match": '"abcdefü"' }, true],
    ["by an unquoted tag", { etag: '"a"' }, { "if-none-match": "a" }, true],
    ["by a tag that the origin left unquoted", { etag: "a" }, { "if-none-match": '"a"' }, true],
    ["by *", {}, { "if-none-match": "*" }, true],
    ["not by another tag", { etag: '"a"' }, { "if-none-match": '"b"' }, false],
    ["not by a part of a tag", { etag: '"a,b"' }, { "if-none-match": '"a"' }, false],
    ["not by a tag where there is none", {}, { "if-none-match": '"a"' }, false],
    ["not by a tag in another case", { etag: '"a"' }, { "if-none-match": '"A"' }, false],
    ["by the same date", { "last-modified": dated(-9) }, { "if-modified-since": dated(-9) }, true],
    ["by a later date", { "last-modified": dated(-9) }, { "if-modified-since": dated(-8) }, true],
    ["not by an earlier date", { "last-modified": dated(-9) }, { "if-modified-since": dated(-10) }, false],
    ["not by what is no date", { "last-modified": dated(-9) }, { "if-modified-since": "now" }, false],
    ["not by a date where there is none", {}, { "if-modified-since": dated(0) }, false],
    [
      "not by the date where the tag is another",
      { etag: '"a"', "last-modified": dated(-9) },
      { "if-none-match": '"b"', "if-modified-since": dated(0) },
      false,
    ],
    [
      "by the tag although the date is another",
      { etag: '"a"', "last-modified": dated(-9) },
      { "if-none-match": '"a"', "if-modified-since": dated(-99) },
      true,
    ],
    ["not without conditions", { etag: '"a"' }, {}, false],
  ])("%s", (_title, kept, request, expected) => {
    expect(isNotModified(200, reading(kept), reading(request), NOW)).toBe(expected);
  });

  it("never for what is no success", () => {
    const condition = reading({ "if-none-match": '"a"' });
    const statuses = [204, 299, 301, 404, 503].filter((status) =>
      isNotModified(status, reading({ etag: '"a"' }), condition, NOW),
    );
    expect(statuses).toEqual([204, 299]);
  });

  it("and then gets no field that describes a body", () => {
    const fields = fieldsOf({
      etag: '"a"',
      "content-type": "text/css",
      "content-length": "5",
      "content-encoding": "gzip",
      "content-location": "/x",
      "content-security-policy": "default-src 'self'",
      vary: "accept",
    });
    expect(notModifiedFields(fields).map(([name]) => name)).toEqual([
      "etag",
      "content-location",
      "content-security-policy",
      "vary",
    ]);
  });
});

describe("what is stored", () => {
  it("is asked for by its own validators", () => {
    expect(validatorsOf(reading({ etag: 'W/"a"', "last-modified": dated(-9) }))).toEqual([
      ["if-none-match", 'W/"a"'],
      ["if-modified-since", dated(-9)],
    ]);
    expect(validatorsOf(reading({ date: dated(0) }))).toEqual([]);
  });

  it("is confirmed by a 304: its fields are the new ones, but for those that describe the bytes", () => {
    const before = stored({
      "cache-control": "max-age=1",
      etag: '"a"',
      date: dated(-100),
      age: "100",
      "content-length": "5",
      "content-encoding": "gzip",
      "content-type": "text/plain",
      a: "1",
      b: "1",
    });
    const after = confirmed(before, {
      requestedAt: NOW + 1_000,
      receivedAt: NOW + 2_000,
      fields: fieldsOf({
        "cache-control": "max-age=9",
        etag: '"z"',
        date: dated(2),
        "content-length": "0",
        "content-encoding": "br",
        "content-range": "bytes 0-1/2",
        "content-type": "text/css",
        "cache-tag": "t",
        connection: "b",
        b: "2",
        c: "2",
        "set-cookie": "sid=BOB",
      }),
    });
    expect(after).toEqual({
      status: 200,
      requestedAt: NOW + 1_000,
      bytesRequestedAt: NOW,
      receivedAt: NOW + 2_000,
      generatedAt: NOW + 1_000,
      bodyBytes: 100,
      tags: ["t"],
      fields: fieldsOf({
        etag: '"a"',
        "content-length": "5",
        "content-encoding": "gzip",
        a: "1",
        b: "1",
        "cache-control": "max-age=9",
        date: dated(2),
        "content-type": "text/css",
        "cache-tag": "t",
        c: "2",
      }),
    });
  });

  it("is confirmed by a 304 that says nothing, and is as young as that", () => {
    const before = stored({ "cache-control": "max-age=1", date: dated(-100), age: "100", etag: '"a"' });
    const after = confirmed(before, { requestedAt: NOW, receivedAt: NOW, fields: [] });
    expect(Object.fromEntries(after.fields)).toEqual({ "cache-control": "max-age=1", etag: '"a"', date: dated(0) });
    expect(after.generatedAt).toBe(NOW);
  });

  it.each<[string, number, Record<string, string>, string]>([
    ["the same tag and length", 200, { etag: '"a"', "content-length": "100" }, "confirmed"],
    ["nothing to compare", 200, { x: "1" }, "unchanged"],
    ["the same length alone", 200, { "content-length": "100", x: "1" }, "confirmed"],
    ["the same date and another length", 200, { "last-modified": dated(-9), "content-length": "99" }, "invalid"],
    ["the same tag and another date", 200, { etag: '"a"', "last-modified": dated(0) }, "invalid"],
    ["another tag", 200, { etag: '"b"' }, "invalid"],
    ["the same tag, but weak", 200, { etag: 'W/"a"' }, "invalid"],
    ["another length", 200, { "content-length": "101" }, "invalid"],
    ["another date", 200, { "last-modified": dated(0) }, "invalid"],
    ["410", 410, { etag: '"b"' }, "unchanged"],
    ["500", 500, { etag: '"b"' }, "unchanged"],
  ])("after a HEAD with %s", (_title, status, fields, expected) => {
    // Its length is that of its bytes, also where it came in chunks.
    const kept = stored({ etag: '"a"', "last-modified": dated(-9), x: "0" });
    const head = { fields: fieldsOf(fields), requestedAt: NOW, receivedAt: NOW };
    const after = afterHead(kept, status, head);
    expect(after.kind).toBe(expected);
    const x = after.kind === "confirmed" ? readerOf(after.stored.fields).get("x") : undefined;
    expect(x).toBe(after.kind === "confirmed" ? (fields["x"] ?? "0") : undefined);
  });
});
