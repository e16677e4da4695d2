/** What keeps the local server from starting and its user can cure; the message says how. */
export class StartError extends Error {
  override readonly name = "StartError";
}
