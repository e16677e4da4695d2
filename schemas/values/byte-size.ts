import * as v from "valibot";

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  KiB: 2 ** 10,
  MB: 1e6,
  MiB: 2 ** 20,
  GB: 1e9,
  GiB: 2 ** 30,
};

/**
 * A number of bytes as users write it: an integer, or a text such as `"64KiB"`, `"2MB"`, `"10MiB"` (KB is 1,000 bytes,
 * KiB 1,024). Parses to whole bytes.
 *
 * @param min the least that makes sense, in bytes.
 */
export function byteSize(min: number) {
  const wanted = `a size such as "64KiB", "2MB", "10MiB" or a whole number of bytes, at least ${min}`;
  const text = v.pipe(v.string(wanted), v.regex(/^\d+(\.\d+)?(B|KB|KiB|MB|MiB|GB|GiB)$/, wanted));
  return v.pipe(
    v.union([text, v.number(wanted)], wanted),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const bytes = typeof dataset.value === "number" ? dataset.value : readBytes(dataset.value);
      if (Number.isSafeInteger(bytes) && bytes >= min) return bytes;
      addIssue({ message: wanted });
      return NEVER;
    }),
  );
}

/** Bytes that wait in the memory of an object, which has 128 MiB together with others. */
export const inMemory = v.pipe(byteSize(0), v.maxValue(32 * 2 ** 20, "at most 32 MiB: it waits in memory"));

function readBytes(text: string): number {
  const [, amount, unit] = /^([\d.]+)([A-Za-z]+)$/.exec(text) ?? [];
  return Math.round(Number(amount) * (UNITS[unit ?? ""] ?? Number.NaN));
}
