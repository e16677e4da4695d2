import { describe, expect, it } from "vitest";
import { resumeRequest, withoutResume } from "../../../objects/web-socket-relay/resume/resume-request.ts";

describe("what a request says of a session", () => {
  const id = "abcdefghijklmnopqrstu_";
  it.each([
    ["", undefined],
    [`_ws_session=${id}`, { session: id, recv: undefined, control: false }],
    [`_ws_session=${id}&_ws_recv=0&_ws_ctl=1`, { session: id, recv: 0, control: true }],
    [`_ws_session=${id}&_ws_ctl=yes`, { session: id, recv: undefined, control: false }],
    [
      "_ws_session=short",
      "_ws_session: got 5 characters, wanted 22 to 128 letters, digits, - or _, and at least 128 random bits",
    ],
    [`_ws_session=${"a".repeat(129)}`, expect.stringMatching(/^_ws_session: got/)],
    [`_ws_session=${id}%00`, expect.stringMatching(/^_ws_session: got/)],
    [`_ws_session=${id}&_ws_recv=-1`, '_ws_recv: got "-1", wanted how many messages were received, a whole number'],
    [
      `_ws_session=${id}&_ws_recv=${"x".repeat(50)}`,
      `_ws_recv: got "${"x".repeat(40)}", wanted how many messages were received, a whole number`,
    ],
    [`_ws_session=${id}&_ws_recv=1e3`, expect.stringMatching(/^_ws_recv: got/)],
    [`_ws_session=${id}&_ws_recv=9999999999999999`, expect.stringMatching(/^_ws_recv: got/)],
    ["_ws_recv=3", expect.stringMatching(/^_ws_recv: got a count without/)],
    [`_ws_session=${id}&_ws_session=${id}`, "_ws_session: got it twice, wanted it once"],
    [`_ws_session=${id}&_ws_recv=1&_ws%5frecv=2`, "_ws_recv: got it twice, wanted it once"],
  ])("%s", (query, said) => {
    expect(resumeRequest(new URLSearchParams(query), new Headers())).toEqual(said);
  });

  it("may be in a header too, and none of it reaches the upstream", () => {
    const headers = new Headers({ "x-ws-session": id });
    expect(resumeRequest(new URLSearchParams("_ws_recv=7"), headers)).toEqual({ session: id, recv: 7, control: false });
    expect(withoutResume(`a=1&_ws_session=${id}&b=%20&_ws_recv=1&_ws_ctl=1`)).toBe("a=1&b=%20");
    expect(withoutResume("a&&_ws_=1&=&%5Fws%5frecv=3")).toBe("a&&=");
  });
});
