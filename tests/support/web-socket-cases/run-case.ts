import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { close, type Case, type Echo } from "./case.ts";
import { OPCODES } from "../web-socket/frames.ts";
import { RawWebSocket, type Frame } from "./raw-web-socket.ts";

/** What came of a case. */
export interface Observed {
  readonly id: string;
  /** `failed`: not what the case asks for. */
  readonly verdict: "ok" | "failed";
  /** What was seen, for a comparison and for people. */
  readonly seen: string;
}

/** For what has to come: nothing here takes a tenth of it. */
const PATIENCE_MS = 2_000;
/** For what must not come. */
const SILENCE_MS = 100;

/** Each message by itself, so that this side has no state to keep. */
const OFFER = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
/** The end of a message that RFC 7692 7.2.1 leaves out. */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/** Runs a case against an echoing server. */
export async function runCase(url: string, one: Case): Promise<Observed> {
  const fields = one.isDeflated === true ? [`sec-websocket-extensions: ${one.offer ?? OFFER}`] : [];
  const socket = await RawWebSocket.open(url, fields);
  try {
    return await observe(socket, one);
  } finally {
    socket.destroy();
  }
}

async function observe(socket: RawWebSocket, one: Case): Promise<Observed> {
  const { id, frames, chop, expect, closes } = one;
  const echoes: Echo[] = [];
  let code: number | "none" | undefined;
  let end: "fin" | "reset" | undefined;
  let parts: Frame[] = [];
  let hasClosed = closes === "answers";
  const isDeflated =
    one.isDeflated === true && socket.headers.get("sec-websocket-extensions")?.includes("permessage-deflate") === true;
  const sending = socket.send(isDeflated ? frames.map(deflated) : frames, chop);
  for (;;) {
    const isAllThere = echoes.length >= expect.length && closes === undefined;
    if (isAllThere && !hasClosed && expect.length > 0) {
      hasClosed = true;
      await sending;
      await socket.send([close(1000)]);
    }
    const isQuiet = isAllThere && !hasClosed;
    const arrival = await socket.next(isQuiet ? SILENCE_MS : PATIENCE_MS);
    if (arrival === undefined && isQuiet) {
      hasClosed = true;
      await socket.send([close(1000)]);
      continue;
    }
    if (arrival === undefined) break;
    if (arrival.kind === "end") {
      end = arrival.how;
      break;
    }
    const { frame } = arrival;
    if (frame.opcode === OPCODES.close) {
      code = frame.payload.length < 2 ? "none" : frame.payload.readUInt16BE(0);
      // The server ends the connection after its own Close frame; a client that got one first answers it.
      if (!hasClosed) await socket.send([{ opcode: OPCODES.close, payload: frame.payload }]);
      hasClosed = true;
      continue;
    }
    if (frame.opcode === OPCODES.pong) echoes.push({ kind: "pong", payload: frame.payload });
    if (frame.opcode > OPCODES.binary) continue;
    parts.push(frame);
    if (!frame.fin) continue;
    const kind = parts[0]?.opcode === OPCODES.text ? "text" : "binary";
    const whole = Buffer.concat(parts.map(({ payload }) => payload));
    echoes.push({ kind, payload: isDeflated && parts[0]?.rsv === 4 ? inflated(whole) : whole });
    parts = [];
    if (!isBeginning(echoes, expect)) break;
  }
  const isClean = code !== undefined && end === "fin";
  const extension = one.isDeflated === true ? `${isDeflated ? "deflated" : "not deflated"}; ` : "";
  const seen = `${extension}${summary(echoes)}; close ${code ?? "-"}, ${end ?? "left open"}`;
  return { id, verdict: judge(one, echoes, { code, end, isClean }) ? "ok" : "failed", seen };
}

function deflated(frame: Frame): Frame {
  const packed = deflateRawSync(frame.payload, { finishFlush: constants.Z_SYNC_FLUSH });
  return { ...frame, rsv: 4, payload: packed.subarray(0, packed.length - TAIL.length) };
}

function inflated(payload: Buffer): Buffer {
  return inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH });
}

interface Ending {
  readonly code: number | "none" | undefined;
  readonly end: "fin" | "reset" | undefined;
  readonly isClean: boolean;
}

function judge(
  { expect, closes, code: wanted }: Case,
  echoes: readonly Echo[],
  { code, end, isClean }: Ending,
): boolean {
  const isAll = echoes.length === expect.length && isBeginning(echoes, expect);
  if (closes === undefined) return isAll && isClean && code === 1000;
  if (closes === "answers")
    return isBeginning(echoes, expect) && end !== undefined && (code === (wanted ?? "none") || code === 1000);
  // Whoever fails a connection may drop what he had to say before (Autobahn calls that non-strict).
  return isBeginning(echoes, expect) && end !== undefined && code !== 1000 && code !== "none";
}

function isBeginning(echoes: readonly Echo[], expect: readonly Echo[]): boolean {
  return (
    echoes.length <= expect.length &&
    echoes.every(({ kind, payload }, at) => kind === expect[at]?.kind && payload.equals(expect[at].payload))
  );
}

function summary(echoes: readonly Echo[]): string {
  const bytes = echoes.reduce((sum, { payload }) => sum + payload.length, 0);
  return `${echoes.length} of ${bytes} bytes`;
}
