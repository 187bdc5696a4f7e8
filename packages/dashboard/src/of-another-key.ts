/** A lease's channel opens to the key that ordered it, and to no other of its party: that is no fault, and nothing to try again. */
import { MarketError } from "@xenoservers/sdk";

export const isOfAnotherKey = (error: unknown): boolean => error instanceof MarketError && error.code === "no_context";
