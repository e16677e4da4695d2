import { createHash } from "node:crypto";

const BLOCK_BYTES = 65_536;

/** 64 KiB that no coding compresses away and no offset repeats early: a fixed chain of SHA-256 digests. */
const BLOCK = Buffer.concat(chain(BLOCK_BYTES / 32));

/** Pieces of a body of `total` bytes, 64 KiB at a time; the same bytes for the same total. */
export function* patternBytes(total: number): Generator<Buffer> {
  for (let left = total; left > 0; left -= BLOCK_BYTES) yield BLOCK.subarray(0, Math.min(left, BLOCK_BYTES));
}

/** SHA-256 of `patternBytes(total)`, hexadecimal. */
export function patternDigest(total: number): string {
  const hash = createHash("sha256");
  for (const piece of patternBytes(total)) hash.update(piece);
  return hash.digest("hex");
}

function chain(length: number): Buffer[] {
  const links = [createHash("sha256").update("sluice").digest()];
  while (links.length < length)
    links.push(
      createHash("sha256")
        .update(links.at(-1) ?? "")
        .digest(),
    );
  return links;
}
