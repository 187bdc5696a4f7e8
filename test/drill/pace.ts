/** The drill goes by the clock: something is killed at random moments, whatever is under way just then. Nothing is asserted of how long it takes. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
