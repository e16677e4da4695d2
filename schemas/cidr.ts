/** An IP address. A v4-mapped IPv6 address (`::ffff:10.0.0.1`) is its IPv4 address. */
export interface Address {
  readonly version: 4 | 6;
  /** 16 bits each, most significant first: 2 for IPv4, 8 for IPv6. */
  readonly words: readonly number[];
  /** Canonical: dotted decimal, or lower-case RFC 5952. Equal addresses have equal texts. */
  readonly text: string;
}

/** A block of addresses. */
export interface Cidr {
  readonly version: 4 | 6;
  /** The network's words; bits after the prefix are zero. */
  readonly words: readonly number[];
  /** Prefix length. */
  readonly bits: number;
  /** Canonical `network/bits`. */
  readonly text: string;
}

const MAPPED_PREFIX_BITS = 96;

/**
 * Reads one address. A zone (`fe80::1%eth0`) is dropped: it names an interface of whoever wrote it.
 * Octets with leading zeros are refused, since half the world's parsers read them as octal.
 *
 * @returns undefined when it is not an address.
 */
export function parseAddress(text: string): Address | undefined {
  if (!text.includes(":")) {
    const words = parseV4(text);
    return words === undefined ? undefined : { version: 4, words, text };
  }
  const zone = text.indexOf("%");
  const words = parseV6(zone === -1 ? text : text.slice(0, zone));
  if (words === undefined) return undefined;
  if (!isMapped(words)) return { version: 6, words, text: formatV6(words) };
  const v4 = words.slice(6);
  return { version: 4, words: v4, text: formatV4(v4) };
}

/**
 * Reads `10.0.0.0/8`, `2001:db8::/32`, or a single address, which is a block of one. Host bits may be set; they are dropped.
 *
 * @returns undefined when it is not a block.
 */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const written = slash === -1 ? text : text.slice(0, slash);
  if (written.includes("%")) return undefined;
  const address = parseAddress(written);
  if (address === undefined) return undefined;
  const width = address.words.length * 16;
  if (slash === -1) return block(address, width);
  const suffix = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(suffix)) return undefined;
  const bits = Number(suffix);
  const isWrittenAsMapped = address.version === 4 && written.includes(":");
  if (!isWrittenAsMapped) return bits > width ? undefined : block(address, bits);
  if (bits > 128) return undefined;
  if (bits >= MAPPED_PREFIX_BITS) return block(address, bits - MAPPED_PREFIX_BITS);
  const words = [0, 0, 0, 0, 0, 0xffff, ...address.words];
  return block({ version: 6, words, text: formatV6(words) }, bits);
}

/**
 * Compiles blocks into a test of an address. Costs one lookup per distinct prefix length, not per block.
 * An address that cannot be read is in no block.
 *
 * @throws when a block cannot be read: the configuration has validated them.
 */
export function compileCidrs(blocks: readonly string[]): (address: string) => boolean {
  const groups = new Map<string, { readonly version: 4 | 6; readonly bits: number; readonly networks: Set<string> }>();
  for (const text of blocks) {
    const cidr = parseCidr(text);
    if (cidr === undefined) throw new Error(`${JSON.stringify(text)} is not a CIDR block`);
    const { version, bits } = cidr;
    const group = groups.get(`${version}/${bits}`) ?? { version, bits, networks: new Set() };
    groups.set(`${version}/${bits}`, group);
    group.networks.add(cidr.words.join());
  }
  const compiled = [...groups.values()];
  return (text) => {
    const address = parseAddress(text);
    if (address === undefined) return false;
    return compiled.some(
      ({ version, bits, networks }) => version === address.version && networks.has(mask(address.words, bits).join()),
    );
  };
}

function block(address: Address, bits: number): Cidr {
  const words = mask(address.words, bits);
  const network = address.version === 4 ? formatV4(words) : formatV6(words);
  return { version: address.version, words, bits, text: `${network}/${bits}` };
}

function mask(words: readonly number[], bits: number): readonly number[] {
  return words.map((word, index) => {
    const kept = Math.min(16, Math.max(0, bits - index * 16));
    return word & (0xffff << (16 - kept)) & 0xffff;
  });
}

function parseV4(text: string): readonly number[] | undefined {
  const octets = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1);
  if (octets === undefined) return undefined;
  if (octets.some((octet) => Number(octet) > 255 || (octet.length > 1 && octet.startsWith("0")))) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = octets.map(Number);
  return [(a << 8) | b, (c << 8) | d];
}

function parseV6(text: string): readonly number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = "", tail] = halves;
  const front = parseGroups(head, tail === undefined);
  const back = tail === undefined ? [] : parseGroups(tail, true);
  if (front === undefined || back === undefined) return undefined;
  const missing = 8 - front.length - back.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  return [...front, ...Array<number>(missing).fill(0), ...back];
}

function parseGroups(text: string, mayEndInV4: boolean): readonly number[] | undefined {
  if (text === "") return [];
  const words: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(group)) {
      words.push(Number.parseInt(group, 16));
      continue;
    }
    const embedded = mayEndInV4 && index === groups.length - 1 ? parseV4(group) : undefined;
    if (embedded === undefined) return undefined;
    words.push(...embedded);
  }
  return words;
}

function isMapped(words: readonly number[]): boolean {
  return words[5] === 0xffff && words.slice(0, 5).every((word) => word === 0);
}

function formatV4(words: readonly number[]): string {
  return words.flatMap((word) => [word >> 8, word & 0xff]).join(".");
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups becomes `::`. */
function formatV6(words: readonly number[]): string {
  const text = words.map((word) => word.toString(16)).join(":");
  const longest = [...text.matchAll(/(?<![0-9a-f])0(:0)+(?![0-9a-f])/g)].reduce(
    (best, run) => (run[0].length > best.length ? { index: run.index, length: run[0].length } : best),
    { index: 0, length: 0 },
  );
  if (longest.length === 0) return text;
  const before = text.slice(0, longest.index).replace(/:$/, "");
  const after = text.slice(longest.index + longest.length).replace(/^:/, "");
  return `${before}::${after}`;
}
