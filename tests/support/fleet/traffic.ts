import type { BorrowedLimit } from "../../../objects/rate-limiter/leases/borrower.ts";
import { IdealLimiter } from "../../simulation/checker.ts";
import { createRandom, type Random } from "../../simulation/random.ts";
import { Lane, LOST } from "./lane.ts";
import { overAdmission, type Admission, type PromisedLimit } from "./over-admission.ts";

/** A limit that a customer is under. */
export interface CustomerLimit extends PromisedLimit {
  readonly name: string;
  /** Whether a request takes what its `X-Cost` says; else 1. */
  readonly weighs?: boolean;
}

/** Whoever a limit counts as one. */
export interface Customer {
  /** Its `X-Client`, unless the route's limits don't look at that. */
  readonly name: string;
  readonly prefix: string;
  /** How often it comes in proportion to the others. */
  readonly weight: number;
  /** What its requests cost, by turns. */
  readonly costs: readonly number[];
  readonly limits: readonly CustomerLimit[];
}

/** How one customer fared under one of its limits. */
export interface Fare {
  readonly customer: string;
  readonly limit: CustomerLimit;
  /** Tokens that its requests asked for, and those that it got. */
  readonly sent: number;
  readonly admitted: number;
  /** Tokens that its requests would have got of a limiter that knows everything at once, all its limits together. */
  readonly ideal: number;
  /** Tokens above what was promised in the worst interval. */
  readonly excess: number;
}

/** Requests that were sent, at which instants, and what became of them: one column each, a request's number is its row. */
export class Traffic {
  readonly #customers: readonly Customer[];
  readonly #turns: readonly number[];
  readonly #random: Random;
  readonly #customerOf: number[] = [];
  readonly #costOf: number[] = [];
  readonly #sentAt: number[] = [];
  /** When the origin saw it; undefined: it was not admitted. */
  readonly #arrivedAt: (number | undefined)[] = [];
  readonly #statusOf: number[] = [];
  #urls: readonly string[] = [];
  /** Idle connections of each isolate. */
  #lanes: Lane[][] = [];
  #served: Promise<void> = Promise.resolve();
  #milestones: { readonly requests: number; readonly reached: () => void }[] = [];
  /** Requests that reached the origin twice, which would make the figures meaningless. */
  repeated = 0;

  constructor(customers: readonly Customer[], seed = 1) {
    this.#customers = customers;
    this.#turns = customers.flatMap(({ weight }, index) => Array<number>(weight).fill(index));
    this.#random = createRandom(seed);
  }

  get sent(): number {
    return this.#sentAt.length;
  }

  /** Resolves when so many requests have been sent. */
  reached(requests: number): Promise<void> {
    return new Promise((reached) => this.#milestones.push({ requests, reached }));
  }

  /** To be told by the origin. */
  arrived(request: number, at: number): void {
    if (this.#arrivedAt[request] !== undefined) this.repeated += 1;
    this.#arrivedAt[request] ??= at;
  }

  /** Nobody sends anything until `back`, whose URLs count from then: one for each isolate. */
  outage(back: Promise<readonly string[]>): void {
    this.#served = back.then((urls) => this.serve(urls));
  }

  /** Requests go to these isolates from now. */
  serve(urls: readonly string[]): void {
    this.close();
    this.#lanes = urls.map(() => []);
    this.#urls = urls;
  }

  /** Sends so many requests over connections that each send the next when the last was answered. */
  async storm(requests: number, connections: number): Promise<void> {
    const end = this.sent + requests;
    const lane = async (place: number): Promise<void> => {
      while (this.sent < end) {
        await this.#served;
        await this.#visit(place % this.#urls.length);
      }
    };
    await Promise.all(Array.from({ length: connections }, (_, place) => lane(place)));
  }

  /** Sends requests at a rate for a while, at random instants and to random isolates, whether or not they are answered. */
  async stream(perSecond: number, durationMs: number): Promise<void> {
    const underWay: Promise<void>[] = [];
    const end = performance.now() + durationMs;
    let next = performance.now();
    while (next < end) {
      while (next <= performance.now()) {
        underWay.push(this.#visit(this.#random.integer(0, this.#urls.length - 1)));
        next += this.#random.exponential(1_000 / perSecond);
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(underWay);
  }

  /** How many requests ended with each status; 0 stands for those that were lost with their connection. */
  statuses(): Record<number, number> {
    const counts: Record<number, number> = {};
    for (const status of this.#statusOf) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }

  /** How everyone fared under each limit. */
  fares(): readonly Fare[] {
    return this.#customers.flatMap((customer, index) => customer.limits.map((limit) => this.#fare(index, limit)));
  }

  /** What the customer of this place in the list was let through under a limit. */
  admissions(index: number, limit: CustomerLimit): readonly Admission[] {
    return this.#customerOf.flatMap((customer, request) => {
      const until = this.#arrivedAt[request];
      if (customer !== index || until === undefined) return [];
      return [{ from: this.#sentAt[request] ?? 0, until, tokens: this.#tokensOf(request, limit) }];
    });
  }

  /** Closes the connections. */
  close(): void {
    for (const lane of this.#lanes.flat()) lane.close();
    this.#lanes = [];
  }

  async #visit(isolate: number): Promise<void> {
    const lanes = this.#lanes[isolate] ?? [];
    const lane = lanes.pop() ?? new Lane(this.#urls[isolate] ?? "");
    const request = this.sent;
    const turn = this.#turns[this.#random.integer(0, this.#turns.length - 1)] ?? 0;
    const customer = this.#customers[turn];
    if (customer === undefined) throw new Error("there are no customers");
    const cost = customer.costs[request % customer.costs.length] ?? 1;
    this.#customerOf.push(turn);
    this.#costOf.push(cost);
    this.#sentAt.push(Date.now());
    this.#announce();
    const { prefix, name } = customer;
    const status = await lane.ask(
      `GET ${prefix}/${request} HTTP/1.1\r\nHost: fleet.test\r\nX-Client: ${name}\r\nX-Cost: ${cost}\r\n\r\n`,
    );
    this.#statusOf[request] = status;
    // A connection that broke belongs to a gateway that may be gone.
    if (status === LOST) lane.close();
    else lanes.push(lane);
  }

  #announce(): void {
    const due = this.#milestones.filter(({ requests }) => requests <= this.sent);
    if (due.length === 0) return;
    this.#milestones = this.#milestones.filter((milestone) => !due.includes(milestone));
    for (const { reached } of due) reached();
  }

  #fare(index: number, limit: CustomerLimit): Fare {
    const { name = "", limits = [] } = this.#customers[index] ?? {};
    const ideal = new IdealLimiter(limits.map(asBorrowed));
    let sent = 0;
    for (const [request, customer] of this.#customerOf.entries()) {
      if (customer !== index) continue;
      const tokens = this.#tokensOf(request, limit);
      sent += tokens;
      ideal.ask(tokens, this.#sentAt[request] ?? 0);
    }
    const admissions = this.admissions(index, limit);
    return {
      customer: name,
      limit,
      sent,
      admitted: admissions.reduce((sum, { tokens }) => sum + tokens, 0),
      ideal: ideal.tokens,
      excess: overAdmission(admissions, limit),
    };
  }

  #tokensOf(request: number, { weighs = false }: CustomerLimit): number {
    return weighs ? (this.#costOf[request] ?? 1) : 1;
  }
}

function asBorrowed({ name, tokensPerWindow, windowMs, burst }: CustomerLimit): BorrowedLimit {
  return { policy: name, tokensPerWindow, windowMs, burst, shadow: false };
}
