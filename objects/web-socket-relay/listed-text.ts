import { MAX_TEXT } from "../socket-registry/registry-messages.ts";

/** A text that a peer has chosen, as far as the registry takes it. */
export function listedText(text: string | null): string | null {
  return text === null ? null : text.slice(0, MAX_TEXT);
}
