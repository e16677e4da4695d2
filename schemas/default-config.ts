/** The document that is active until another one is given: the gateway's own endpoints, and no routes. */
export const defaultDocument: unknown = { routes: [] };
