/** A call of an owner's method as it arrives. */
export interface OwnerCall {
  readonly method: string;
  /** The limit that the message asks about first; undefined for messages that name none. */
  readonly policy: string | undefined;
  /** The URL of the target, or the name of the quota, that the message is about; undefined for messages that name none. */
  readonly target: string | undefined;
  /** Lets the shipped method answer. */
  readonly proceed: () => unknown;
}

/** Methods that no request makes. */
const NOT_ASKED = new Set(["constructor", "alarm"]);

/**
 * Puts `around` in front of each method that the shipped class has, those it will get one day included, so that a fault
 * reaches whatever way of asking the Worker uses.
 *
 * @param derived the class that the test's entry exports in the place of `shipped`.
 */
export function aroundOwner<Owner extends object>(
  derived: { readonly prototype: Owner },
  shipped: { readonly prototype: object },
  around: (owner: Owner, call: OwnerCall) => unknown,
): void {
  for (const method of Object.getOwnPropertyNames(shipped.prototype)) {
    const original: unknown = Reflect.get(shipped.prototype, method);
    if (typeof original !== "function" || NOT_ASKED.has(method)) continue;
    const value = function (this: Owner, ...sent: unknown[]): unknown {
      const proceed = (): unknown => Reflect.apply(original, this, sent);
      const [message] = sent;
      return around(this, {
        method,
        policy: policyIn(message),
        target: textIn(message, "target") ?? textIn(message, "quota"),
        proceed,
      });
    };
    Object.defineProperty(derived.prototype, method, { value, configurable: true });
  }
}

function policyIn(message: unknown): string | undefined {
  const item = list(message, "items")[0];
  return textIn(item, "policy");
}

function textIn(message: unknown, field: string): string | undefined {
  const held: unknown = typeof message === "object" && message !== null ? Reflect.get(message, field) : undefined;
  return typeof held === "string" ? held : undefined;
}

function list(message: unknown, field: string): readonly unknown[] {
  const held: unknown = typeof message === "object" && message !== null ? Reflect.get(message, field) : undefined;
  return Array.isArray(held) ? held : [];
}
