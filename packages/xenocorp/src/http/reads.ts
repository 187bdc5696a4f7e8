/** All reading routes of the API table together. */
import type { MarketInfo } from "@xenoservers/protocol/link";
import type { Services } from "../desk/round.ts";
import type { Handlers } from "./handlers.ts";
import { createLogReads } from "./log-reads.ts";
import { createMarketReads } from "./market-reads.ts";
import { createPartyReads } from "./party-reads.ts";
import { Receipts } from "./receipts.ts";

export type Reads = Omit<Handlers, "submit" | "submitMany" | "challenge" | "token" | "cosign" | "sealPart" | "sealResult">;

export const createReads = (services: Services, market: () => Promise<MarketInfo>): Reads => ({
  ...createMarketReads(services, market),
  ...createPartyReads(services, new Receipts(services)),
  ...createLogReads(services),
});
