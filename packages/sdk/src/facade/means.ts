/** What the parts of a market that a program calls stand on. */
import type { Scope } from "@xenoservers/market";
import type { MarketClient } from "../client.ts";

export interface Means {
  client: MarketClient;
  /** Throws ContextError where the market's key may not. */
  assertMay(...needs: Scope[]): void;
}
