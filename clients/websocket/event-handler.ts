/** What is called for an event, as `onopen` is. */
export type Handler<Type extends Event> = ((event: Type) => unknown) | null;

/** An event handler attribute, such as `onopen` of a WebSocket. */
export interface EventHandler<Type extends Event> {
  /** What is no function takes away what there is. */
  value: Handler<Type>;
}

/**
 * Makes one. It is called among the listeners in the order in which it was set first; another one takes over its place, and none gives
 * it up (HTML, "event handlers").
 */
export function createEventHandler<Type extends Event>(target: EventTarget, type: string): EventHandler<Type> {
  let handler: Handler<Type> = null;
  const listener = {
    handleEvent(event: Type): void {
      handler?.call(target, event);
    },
  };
  return {
    get value() {
      return handler;
    },
    set value(given) {
      const before = handler;
      handler = typeof given === "function" ? given : null;
      if (handler === null) target.removeEventListener(type, listener);
      else if (before === null) target.addEventListener(type, listener);
    },
  };
}
