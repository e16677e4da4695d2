import type { ObjectAddress } from "../../../objects/address.ts";
import { createLru, type Lru } from "../../../objects/lru.ts";
import {
  newBorrower,
  type BorrowedLimit,
  type Borrower,
  type Sender,
} from "../../../objects/rate-limiter/leases/borrower.ts";
import { atRoot, type ShardChoice } from "../../../objects/rate-limiter/shards/shard-choice.ts";
import type { RateLimit } from "../../../schemas/index.ts";
import { labelOf, type Label } from "../headers.ts";

/** Limits that one isolate borrows under together, as every client of theirs has them. */
export interface LeaseTerms {
  readonly limits: readonly RateLimit[];
  /** In units. */
  readonly borrowed: readonly BorrowedLimit[];
  /** Names the limits, and the way clients are told apart under them. */
  readonly name: string;
  /** Owners decide also about banned clients: some requests of theirs are not stopped. */
  readonly evenIfBanned: boolean;
  /** Everything that a lease rests on: under other terms it must go back. */
  readonly signature: string;
}

/** One client's lease and what is known of its tokens, in this isolate. */
export interface TableEntry {
  readonly terms: LeaseTerms;
  /** Who counts the client's tokens. */
  readonly owner: ObjectAddress;
  /** Whom the lease is from and who is asked: the owner, or one of the shards of a hot client. */
  address: ObjectAddress;
  /** Which shard that is; undefined: the owner itself. */
  shard: number | undefined;
  /** What was said of shards. */
  readonly choice: ShardChoice;
  readonly borrower: Borrower;
  /** In the order of the terms' limits. */
  readonly labels: readonly Label[];
  /** Not in the table any more: whatever a call that is under way brings has to go back. */
  isForgotten: boolean;
  /** Somebody waits to return the lease when it is idle, until this time at the latest. */
  watchedUntil: number;
}

interface Table {
  readonly capacity: number;
  readonly entries: Lru<string, TableEntry>;
}

/** An entry, and those that had to go for it: their leases are to be returned. */
export interface Found {
  readonly entry: TableEntry;
  readonly gone: readonly TableEntry[];
}

let table: Table | undefined;
/** By what they are short for. A key is made for each request, and this is part of it. */
const shortNames = new Map<string, string>();
/** One for all messages of this isolate. Named at first use: no randomness at start-up. */
let sender: Sender | undefined;

/** A short name for a long one, the same each time in this isolate. */
export function shortName(full: string): string {
  const name = shortNames.get(full) ?? `${shortNames.size}:`;
  shortNames.set(full, name);
  return name;
}

/** The entry of a client under the same terms and configuration; undefined: there is none yet. */
export function findEntry(terms: LeaseTerms, { client }: ObjectAddress, version: number): TableEntry | undefined {
  const entry = table?.entries.get(terms.name + client);
  if (entry === undefined || entry.borrower.configVersion !== version) return undefined;
  // The same text as a rule, and then comparing costs nothing; two routes that share limits have one each.
  return entry.terms.signature === terms.signature ? entry : undefined;
}

/**
 * Makes a client's entry, in the place of one under other terms or another configuration.
 *
 * @param capacity of the table; another one than before begins an empty table, and what was lent ends by itself.
 */
export function makeEntry(terms: LeaseTerms, address: ObjectAddress, version: number, capacity: number): Found {
  if (table?.capacity !== capacity) table = { capacity, entries: createLru(capacity) };
  const { entries } = table;
  const key = terms.name + address.client;
  sender ??= newSender();
  const entry: TableEntry = {
    terms,
    owner: address,
    address,
    shard: undefined,
    choice: atRoot(),
    borrower: newBorrower(address.client, version, terms.borrowed, sender),
    labels: terms.limits.map((limit) => labelOf(limit, address.client)),
    isForgotten: false,
    watchedUntil: 0,
  };
  const gone = [entries.get(key), entries.set(key, entry)].filter((one) => one !== undefined);
  for (const one of gone) one.isForgotten = true;
  return { entry, gone };
}

/** Names this isolate for its life. */
export function isolateName(): string {
  sender ??= newSender();
  return sender.isolate;
}

function newSender(): Sender {
  return { isolate: crypto.randomUUID(), seq: 0 };
}
