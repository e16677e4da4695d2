import { describe, expect, it } from "vitest";
import { helloIn } from "../../../clients/websocket/control-frames.ts";
import { controlFrame } from "../../../objects/web-socket-relay/resume/control-frames.ts";
import { resumeRequest, withoutResume } from "../../../objects/web-socket-relay/resume/resume-request.ts";

const SESSION = `_ws_session=${"s".repeat(22)}`;

describe("a greeting", () => {
  it.each([
    ["&_ws_recv=0&_ws_hello=1", true],
    ["&_ws_hello=1&_ws_hello=0", true],
    ["&_ws_recv=0", undefined],
    ["&_ws_hello=", undefined],
    ["&_ws_hello=yes", undefined],
    [`&_ws_hello=${"1".repeat(9)}`, undefined],
  ])("is wanted or not: %s", (query, hello) => {
    const asked = resumeRequest(new URLSearchParams(SESSION + query), new Headers());
    expect(typeof asked === "object" ? asked.hello : asked).toBe(hello);
    expect(withoutResume(`a=1&${SESSION}${query}`)).toBe("a=1");
  });

  it("is the gateway's by the epoch that only it knows", () => {
    const frame = { kind: "hello", epoch: "e", recv: 3, restarts: 1 } as const;
    expect(helloIn(controlFrame(frame), "e")).toEqual(frame);
    const others = [
      controlFrame({ ...frame, epoch: "f" }),
      controlFrame({ kind: "ack", n: 3 }),
      "hello",
      "",
      undefined,
    ];
    expect(others.map((data) => helloIn(data, "e"))).toEqual(others.map(() => undefined));
    expect(helloIn(controlFrame(frame), undefined)).toBeUndefined();
    expect(helloIn(new ArrayBuffer(3), "e")).toBeUndefined();
  });
});
