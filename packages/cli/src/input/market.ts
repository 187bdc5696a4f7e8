/** The market of whoever uses this command line, as any program has it. */
import type { Scope } from "@xenoservers/market";
import { Market, type Context } from "@xenoservers/sdk";
import { openClient } from "./client.ts";

/** `needs`: what the verb's key must be granted; said before anything is sent. */
export async function openMarket(...needs: Scope[]): Promise<{ market: Market; context: Context }> {
  const { client, ...known } = await openClient(...needs);
  return { market: Market.of(client, { known }), context: known.context };
}
