import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ResumableWebSocket } from "../../clients/websocket/resumable-web-socket.ts";
import { EchoOrigin } from "../support/web-socket/echo-origin.ts";
import { STANDARD_PROBES } from "../support/web-socket/standard-probes.ts";

let origin: EchoOrigin;

beforeAll(async () => {
  origin = await EchoOrigin.start();
});

afterAll(() => origin.stop());

describe("answers as Node's WebSocket does:", () => {
  it.each(Object.entries(STANDARD_PROBES))("%s", async (_what, probe) => {
    const ours = await probe(ResumableWebSocket, origin.url);
    expect(ours).toEqual(await probe(WebSocket, origin.url));
  });
});
