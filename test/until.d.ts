/** How tests wait: for a condition, at any speed. Only what hangs meets the limit, and it is told which condition never held. */
/** `everyMs`: how often it is looked, where a look costs something; `hangsMs`: after which time it hangs. */
export declare function until(condition: () => boolean | Promise<boolean>, everyMs?: number, hangsMs?: number): Promise<void>;
