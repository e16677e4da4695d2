import type { SessionFilter } from "../../../objects/socket-registry/registry-messages.ts";
import { codeOf } from "../../problem.ts";

/** Until there are several, and roles. */
const ADMIN = "admin";
/** What is longer is nobody's. */
const MAX_ID = 80;

/** An order as the log has it. What clients are told is not in it. */
export interface SocketOrder {
  readonly order: "send" | "close" | "drain" | "broadcast" | "tap";
  /** The id of one, or which. */
  readonly session?: string;
  readonly filter?: SessionFilter;
  readonly [detail: string]: unknown;
}

/** Carries out an order, and logs one line of who has ordered what of which sessions, and what has come of it. */
export async function audited<Reply>(
  order: SocketOrder,
  carryOut: () => Promise<Reply>,
  outcome: (reply: Reply) => object,
): Promise<Reply> {
  const time = new Date().toISOString();
  const session = order.session?.slice(0, MAX_ID);
  const filter = order.filter && filterOf(order.filter);
  const told = { level: "info", event: "sockets-ordered", time, by: ADMIN, ...order, session, filter };
  const log = (came: object) => console.log(JSON.stringify({ ...told, ...came }));
  try {
    const reply = await carryOut();
    log(outcome(reply));
    return reply;
  } catch (error) {
    // Where some did not answer others may have obeyed.
    log({ result: codeOf(error) });
    throw error;
  }
}

/** How a message is told of in the log. */
export function sizeOfMessage(message: string | ArrayBuffer): object {
  return typeof message === "string" ? { characters: message.length } : { bytes: message.byteLength };
}

function filterOf(filter: SessionFilter): object | "all" {
  const named = Object.entries(filter).filter(([, value]) => value !== null);
  return named.length === 0 ? "all" : Object.fromEntries(named);
}
