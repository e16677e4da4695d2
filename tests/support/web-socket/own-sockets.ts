import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** So many sockets a process has open. Linux only. */
export function openSockets(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => isSocket(`/proc/${pid}/fd/${fd}`)).length;
}

/** So many TCP connections the gateway's process has with clients at its port, and with an origin at that one's: none that it has closed. */
export function connections(pid: number, gatewayPort: number, originPort: number): number {
  const lines = readFileSync(`/proc/${pid}/net/tcp`, "utf8").trim().split("\n").slice(1);
  const own = new Set(inodes(pid));
  return lines.filter((line) => {
    // proc(5): local and remote address, state, queues, timer, retransmits, user, timeout, inode.
    const [, local = "", remote = "", state, , , , , , inode = ""] = line.trim().split(/\s+/);
    const isListening = state === "0A";
    return !isListening && own.has(inode) && (portOf(local) === gatewayPort || portOf(remote) === originPort);
  }).length;
}

function portOf(address: string): number {
  return Number.parseInt(address.split(":")[1] ?? "", 16);
}

function inodes(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
    return inode === undefined ? [] : [inode];
  });
}

function isSocket(path: string): boolean {
  return linkOf(path).startsWith("socket:");
}

/** Empty where it has been closed since it was listed. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
