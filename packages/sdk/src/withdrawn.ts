/** What came of giving an order up. */

/** `over`: there was nothing left to stop. `unheard`: the broker did not say that it has heard it; then the order ends when it expires. */
export type Withdrawn = "withdrawn" | "over" | "unheard";
