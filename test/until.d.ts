/** How tests wait: for a condition, at any speed. Only what hangs meets the limit, and it is told which condition never held. */
export declare function until(condition: () => boolean | Promise<boolean>): Promise<void>;
