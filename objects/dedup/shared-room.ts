/** What one key's flights keep, and since when. */
interface Share {
  bytes: number;
  at: number;
}

/** A part of a room that all objects of an isolate have in common: it has 128 MB, however many of them are in it. */
export interface RoomShare {
  /** Says how much it takes now, and gives what is left of the room with that in it; negative: too much is taken. */
  take(bytes: number): number;
}

/** An object that has said nothing for so long is lost, with all that it kept. */
const LOST_MS = 120_000;

/** Makes a room for so many bytes, and what gives parts of it. */
export function newSharedRoom(maxBytes: number): () => RoomShare {
  const shares = new Set<Share>();
  let taken = 0;

  function forgetLost(now: number): void {
    for (const share of shares) {
      if (now - share.at <= LOST_MS) continue;
      taken -= share.bytes;
      share.bytes = 0;
      shares.delete(share);
    }
  }

  return function newShare() {
    const share: Share = { bytes: 0, at: 0 };
    return {
      take(bytes) {
        const now = Date.now();
        taken += bytes - share.bytes;
        share.bytes = bytes;
        share.at = now;
        if (bytes > 0) shares.add(share);
        else shares.delete(share);
        if (taken > maxBytes) forgetLost(now);
        return maxBytes - taken;
      },
    };
  };
}
