/** How a route's requests wait for each other. */
export interface DeduplicationSettings {
  /** How long a response that has come whole answers those who come late, as far as it is fresh, in ms; 0: not at all. Default 5 s. */
  readonly windowMs: number;
  /** Who may have a response that is not worth keeping: nobody else, or those who came before its headers. Default `fresh`. */
  readonly coalesce: "fresh" | "arrived-before-headers";
}
