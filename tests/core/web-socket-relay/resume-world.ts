import { helloIn } from "../../../clients/websocket/control-frames.ts";
import { createCopies, type Copies } from "../../../clients/websocket/copies.ts";
import { controlFrame, readText } from "../../../objects/web-socket-relay/resume/control-frames.ts";
import type { ResumeRules } from "../../../objects/web-socket-relay/resume/resume-rules.ts";
import type { ResumeSession } from "../../../objects/web-socket-relay/resume/resume-session.ts";
import type { PassedMessage } from "../../../objects/web-socket-relay/resume/ring.ts";
import { createResumeSession, restoreResumeSession } from "../../../objects/web-socket-relay/resume/session.ts";
import type { Flush, StoredSession } from "../../../objects/web-socket-relay/resume/stored-session.ts";
import type { Random } from "../../simulation/random.ts";

/** Which defect a world has; `none` is what ships. */
export type Defect =
  | "none"
  | "counts-late-messages"
  | "replays-one-too-few"
  | "replays-one-too-many"
  | "resends-all"
  | "trusts-an-old-status"
  | "forgets-on-detach"
  | "acks-before-writing"
  | "keeps-what-waits"
  | "greets-behind-the-replay"
  | "counts-the-greeting"
  | "obeys-a-late-greeting";

export interface WorldOptions {
  readonly random: Random;
  readonly rules: ResumeRules;
  readonly copies: number;
  readonly steps: number;
  /** Whether the client asks for `hello` on connections that resume, and most of the time gets it. */
  readonly greets: boolean;
  readonly defect: Defect;
}

/** One connection: what is under way, and who still believes in it. */
interface Wire {
  readonly toRelay: string[];
  readonly toClient: string[];
  readonly connection: number;
  /** Whether the client takes its first message for a `hello` if it is one. */
  isGreeted: boolean;
}

/** What came of a world. */
export interface Outcome {
  /** What the backend has sent, and what the client has got of it. */
  readonly down: { readonly sent: readonly string[]; readonly got: readonly string[] };
  readonly up: { readonly sent: readonly string[]; readonly got: readonly string[] };
  /** How the client's session ended before the world did; undefined: it did not. */
  readonly lost: string | undefined;
  /** The most messages that the client was ever told have come. */
  readonly told: number;
  readonly resets: number;
  readonly crashes: number;
}

const OWNER = "route and principal";

/**
 * A client and a relay without sockets: what is under way on a connection is delivered one by one, lost with a reset from a random place
 * on, or, towards the relay, comes late on a connection that was taken over. With level 2 the relay crashes too.
 */
export class ResumeWorld {
  now = 1_790_000_000_000;
  relay: ResumeSession;
  readonly client: Copies;
  readonly #options: WorldOptions;
  readonly #random: Random;
  /** What is written; undefined: nothing yet. */
  #stored: StoredSession | undefined;
  readonly #messages = new Map<number, PassedMessage>();
  /** The client's connection; undefined: it has none, and knows. */
  #wire: Wire | undefined;
  /** What the client asks, or is told, about what has come. */
  #isReady = true;
  #asked: { readonly wire: Wire; readonly recv: number } | undefined;
  /** Connections that the client has left and the relay may still hear of. */
  readonly #old: Wire[] = [];
  #isUpstreamAway = false;
  /** Counted messages for an upstream that is away. */
  #waiting: string[] = [];
  readonly #down = { sent: [] as string[], got: [] as string[] };
  readonly #up = { sent: [] as string[], got: [] as string[] };
  #lost: string | undefined;
  #told = 0;
  #resets = 0;
  #crashes = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = options.random;
    this.relay = createResumeSession({ epoch: "e", owner: OWNER, rules: options.rules }, this.now);
    this.client = createCopies({ messages: options.copies, bytes: 1_000_000 });
    this.#wire = { toRelay: [], toClient: [], connection: this.relay.connection, isGreeted: false };
    if (options.rules.control) this.#hello(this.#wire, 0);
  }

  run(): Outcome {
    for (let step = 0; step < this.#options.steps && this.#lost === undefined; step += 1) this.#step();
    this.#settle();
    const { down, up } = { down: this.#down, up: this.#up };
    return { down, up, lost: this.#lost, told: this.#told, resets: this.#resets, crashes: this.#crashes };
  }

  #step(): void {
    const { rules } = this.#options;
    const dice = this.#random.next();
    if (dice < 0.2) this.#backendSends();
    else if (dice < 0.4) this.#clientSends();
    else if (dice < 0.6) this.#clientGets();
    else if (dice < 0.78) this.#relayGets();
    else if (dice < 0.83) this.#reset();
    else if (dice < 0.9) this.#connect();
    else if (dice < 0.95) this.#ask();
    else if (dice < 0.96) this.#toggleUpstream();
    else if (dice < 0.965 && rules.stored) this.#crash();
    else this.#passes(this.#random.integer(1, 300));
    this.#tend();
  }

  /** Until nothing is under way any more, with a good network. */
  #settle(): void {
    if (this.#isUpstreamAway) this.#toggleUpstream();
    for (let round = 0; round < 1_000 && this.#lost === undefined; round += 1) {
      if (this.#wire === undefined || this.#isBroken(this.#wire)) {
        this.#leave();
        this.#connect();
      }
      this.#ask();
      this.#ask();
      this.#clientGets();
      this.#relayGets();
      this.#passes(10);
      this.#tend();
      const wire = this.#wire;
      if (this.#isReady && wire !== undefined && wire.toRelay.length + wire.toClient.length === 0) return;
    }
  }

  #isBroken(wire: Wire): boolean {
    return wire.connection !== this.relay.connection || this.relay.state !== "live";
  }

  #backendSends(): void {
    if (this.#isUpstreamAway) return;
    const data = `u${this.#down.sent.length + 1}`;
    this.#down.sent.push(data);
    const message: PassedMessage = { data, bytes: data.length };
    const fate = this.relay.toClient(message, this.now);
    if (fate === "send") this.#live()?.toClient.push(data);
  }

  /** The wire that the relay sends on. */
  #live(): Wire | undefined {
    return [this.#wire, ...this.#old].find((wire) => wire?.connection === this.relay.connection);
  }

  #clientSends(): void {
    const data = `c${this.#up.sent.length + 1}`;
    if (!this.client.add(data, data.length, this.#isReady)) {
      this.#lost = "no room for copies";
      return;
    }
    this.#up.sent.push(data);
    if (this.#isReady) this.#wire?.toRelay.push(data);
  }

  #clientGets(): void {
    const wire = this.#wire;
    const text = wire?.toClient.shift();
    if (wire === undefined || text === undefined) return;
    const hello = wire.isGreeted ? helloIn(text, "e") : undefined;
    wire.isGreeted = false;
    if (hello !== undefined) {
      const { defect } = this.#options;
      if (defect === "counts-the-greeting") this.client.countReceived();
      // It was asked for meanwhile, since it took long.
      if (!this.#isReady || defect === "obeys-a-late-greeting") this.#resume(hello.recv);
      return;
    }
    const read = this.#options.rules.control ? readText(text) : { data: text };
    if (read === undefined) throw new Error(`the client cannot read ${text}`);
    if ("data" in read) {
      this.client.countReceived();
      this.#down.got.push(read.data);
    } else if (read.frame.kind === "hello") this.#resume(read.frame.recv);
    else if (read.frame.kind === "ack") {
      this.#told = Math.max(this.#told, read.frame.n);
      this.client.confirm(read.frame.n);
    }
  }

  #relayGets(): void {
    const wires = [this.#wire, ...this.#old].filter((wire) => wire !== undefined && wire.toRelay.length > 0);
    const wire = wires[this.#random.integer(0, Math.max(0, wires.length - 1))];
    const text = wire?.toRelay.shift();
    if (wire === undefined || text === undefined) return;
    const read = this.#options.rules.control ? readText(text) : { data: text };
    if (read === undefined) throw new Error(`the relay cannot read ${text}`);
    if ("frame" in read) {
      if (read.frame.kind === "ack" && wire.connection === this.relay.connection) this.relay.acked(read.frame.n);
      return;
    }
    const connection = this.#options.defect === "counts-late-messages" ? this.relay.connection : wire.connection;
    if (!this.relay.fromClient(connection, this.now)) return;
    if (this.#isUpstreamAway) this.#waiting.push(read.data);
    else this.#up.got.push(read.data);
    this.relay.setWaiting(this.#waiting.length, this.now);
  }

  /** What is under way is lost from some place on, each way. Who notices when is chance. */
  #reset(): void {
    const wire = this.#wire;
    this.#resets += 1;
    if (wire === undefined) return;
    wire.toClient.length = this.#random.integer(0, wire.toClient.length);
    wire.toRelay.length = this.#random.integer(0, wire.toRelay.length);
    while (wire.toClient.length > 0) this.#clientGets();
    this.#leave();
    if (this.#random.next() < 0.5) {
      wire.toRelay.length = 0;
      this.relay.detach(wire.connection, this.now);
      if (this.#options.defect === "forgets-on-detach") this.relay.acked(this.relay.status().sent);
    }
  }

  #leave(): void {
    if (this.#wire !== undefined) this.#old.push(this.#wire);
    if (this.#old.length > 3) this.#old.shift();
    this.#wire = undefined;
    this.#isReady = false;
    if (this.#options.defect !== "trusts-an-old-status") this.#asked = undefined;
  }

  /** Also while the relay believes in the old connection. */
  #connect(): void {
    if (this.#wire !== undefined && this.#random.next() < 0.9) return;
    this.#leave();
    const { defect } = this.#options;
    const claimed = this.client.received;
    const recv = defect === "replays-one-too-few" ? Math.min(this.relay.status().sent, claimed + 1) : claimed;
    const reply = this.relay.attach({ owner: OWNER, recv }, this.now);
    if (reply.kind === "refused") {
      this.#lost = "code" in reply ? `${reply.code} ${reply.reason}` : String(reply.status);
      return;
    }
    if (this.#options.rules.stored && defect !== "keeps-what-waits") this.#waiting = [];
    this.#write(this.relay.flush(this.now));
    const replay = reply.replay.map(({ data }) => (typeof data === "string" ? data : "binary"));
    const again = defect === "replays-one-too-many" ? this.#down.got.slice(-1) : [];
    const { greets, rules } = this.#options;
    const wire: Wire = { toRelay: [], toClient: [], connection: reply.connection, isGreeted: greets };
    const isLate = defect === "greets-behind-the-replay";
    if (isLate) wire.toClient.push(...replay.splice(0));
    // Any other gateway may take the client in.
    if (rules.control || (greets && this.#random.next() < 0.9)) this.#hello(wire, reply.recv);
    wire.toClient.push(...again, ...replay);
    this.#wire = wire;
  }

  #hello(wire: Wire, recv: number): void {
    this.#isReady = false;
    wire.toClient.push(controlFrame({ kind: "hello", epoch: "e", recv, restarts: 0 }));
  }

  /** Asks what has come, or gets the answer: on a new connection to send the rest, else to forget copies. */
  #ask(): void {
    const wire = this.#wire;
    if (this.#options.rules.control || wire === undefined) return;
    if (this.#asked === undefined) {
      this.#write(this.relay.flush(this.now));
      this.#asked = { wire, recv: this.relay.status().recv };
      return;
    }
    const { recv } = this.#asked;
    this.#asked = undefined;
    if (this.#isReady) {
      this.#told = Math.max(this.#told, recv);
      this.client.confirm(recv);
    } else this.#resume(recv);
  }

  #resume(recv: number): void {
    this.#told = Math.max(this.#told, recv);
    const all = this.#options.defect === "resends-all" ? this.client.all() : [];
    const resumption = this.client.resume(recv);
    if (resumption.kind === "lost") {
      this.#lost = "copies are gone";
      return;
    }
    this.#isReady = true;
    const rest = all.length > 0 ? all : resumption.messages;
    this.#wire?.toRelay.push(...rest.map(String));
  }

  #toggleUpstream(): void {
    this.#isUpstreamAway = !this.#isUpstreamAway;
    if (this.#isUpstreamAway) return;
    this.#up.got.push(...this.#waiting.splice(0));
    this.relay.setWaiting(0, this.now);
  }

  /** Everything that was not written is gone, and so are the relay's ends of all connections. */
  #crash(): void {
    this.#crashes += 1;
    this.#reset();
    this.#old.length = 0;
    const restored = this.#stored && restoreResumeSession(this.#stored, this.#options.rules, this.now);
    if (restored === undefined) {
      this.#lost = "crashed before anything was written";
      return;
    }
    this.relay = restored;
    this.#waiting = [];
    this.#isUpstreamAway = false;
  }

  #passes(ms: number): void {
    this.now += ms;
  }

  /** What an object does after each event, and by its timer. */
  #tend(): void {
    if (this.#options.defect === "acks-before-writing") this.#ack(this.relay.status().recv);
    this.#write(this.relay.takeFlush(this.now));
    const count = this.relay.takeAck(this.now);
    if (count !== undefined) this.#ack(count);
    if (this.#options.rules.control && this.#isReady && this.#random.next() < 0.1) {
      this.#wire?.toRelay.push(controlFrame({ kind: "ack", n: this.client.received }));
    }
  }

  #ack(count: number): void {
    this.#live()?.toClient.push(controlFrame({ kind: "ack", n: count }));
  }

  #write(flush: Flush | undefined): void {
    if (flush === undefined) return;
    const { record, isAnew, from, messages } = flush;
    if (isAnew) this.#messages.clear();
    for (const [index, message] of messages.entries()) this.#messages.set(from + index, message);
    for (const number of this.#messages.keys()) if (number < record.first) this.#messages.delete(number);
    this.#stored = { ...record, messages: [...this.#messages.values()] };
  }
}
