import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { parseJsonc } from "../../schemas/document/parse-jsonc.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { repositoryRoot, type RunningProcess, run } from "../support/process.ts";

const FOLDER = "examples/web-sockets";
const talkers: ChildProcessWithoutNullStreams[] = [];
let origin: RunningProcess;
let gateway: Gateway;

beforeAll(async () => {
  origin = run(process.execPath, [`${FOLDER}/origin.mjs`, "0"]);
  await origin.waitForOutput("http://127.0.0.1:");
  const text = readFileSync(`${repositoryRoot}${FOLDER}/gateway.jsonc`, "utf8");
  const config = parseJsonc(text.replaceAll("http://127.0.0.1:9000", origin.stdout().trim())).value;
  gateway = await startGateway({ config });
});

afterEach(async () => {
  for (const talker of talkers.splice(0)) {
    if (talker.exitCode !== null) continue;
    talker.kill();
    await once(talker, "exit");
  }
});

afterAll(async () => {
  await gateway?.stop();
  origin?.signal("SIGTERM");
  await origin?.exited;
});

/** Says it by the example's client, and gives what the client prints until it has printed `last`. */
async function talk(path: string, said: string, last: RegExp, kind = ""): Promise<string> {
  const args = [`${FOLDER}/talk.mjs`, `${gateway.url.replace("http", "ws")}${path}`, kind];
  const talker = spawn(process.execPath, args, { cwd: repositoryRoot });
  talkers.push(talker);
  let printed = "";
  for await (const chunk of talker.stdout.setEncoding("utf8")) {
    printed += String(chunk);
    if (printed === "(open)\n") talker.stdin.write(`${said}\n`);
    if (last.test(printed)) break;
  }
  return printed;
}

it.each([
  ["/raw", ""],
  ["/live", ""],
  ["/held", "resumable"],
])("the example's %s gives back what is said", async (path, kind) => {
  expect(await talk(path, "hello", /hello\n/, kind)).toBe("(open)\nhello\n");
});

it("the example's feed is one connection for two who listen", async () => {
  const heard = [talk("/prices", "", /\d\}\n/), talk("/prices", "", /\d\}\n/)];
  for (const prices of await Promise.all(heard)) expect(prices).toMatch(/^\(open\)\n\{"price":1\d\d\}\n/);
  expect(origin.stdout().match(/a connection to \/prices/g)).toHaveLength(1);
});

it("the example's chat needs no WebSocket at the origin", async () => {
  expect(await talk("/chat", "hello", /said hello\n/)).toBe("(open)\nyou said hello\n");
  expect(origin.stdout()).toContain("connect 1: \nmessage 2: hello\n");
});

it("the guide shows the line of a session that has ended", async () => {
  const guide = readFileSync(`${repositoryRoot}docs/guide/web-sockets.md`, "utf8");
  const [, shown = ""] = /## Seeing sessions[^]*?```json\n([^]*?)```/.exec(guide) ?? [];
  const { protocol: _onlyWhereOneWasChosen, ...example } = Object(JSON.parse(shown));
  await talk("/live", "hello", /hello\n/);
  for (const talker of talkers) talker.kill();
  const isIt = (line: Record<string, unknown>) => line["message"] === "web-socket" && line["route"] === "live";
  await expect.poll(() => gateway.logs().some(isIt), { timeout: 15_000 }).toBe(true);
  expect(Object.keys(gateway.logs().find(isIt) ?? {})).toEqual(Object.keys(example));
});
