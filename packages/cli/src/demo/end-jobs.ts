/**
 * What still runs when the demo is told to end, ended with it. A guest outlives the program that serves it and is found again by the next
 * one; here nobody may ever start a next one. Who controls the inputs: whoever uses the demo as Carl.
 */
import { shortId, type Market } from "@xenoservers/sdk";
import { say } from "../output/terminal.ts";
import { countOf } from "../output/ui.ts";

/** Stops the caller's live leases and waits for their ends, for two minutes at most; one that cannot be stopped is named. */
export async function endJobs(market: Pick<Market, "leases" | "stop">): Promise<void> {
  const live: string[] = [];
  for await (const { id } of market.leases({ live: true })) live.push(id);
  if (live.length === 0) return;
  say(`ending ${countOf(live.length, "lease")}; a second Ctrl-C leaves what is left to its own limits`);
  const stop = async (lease: string): Promise<void> => {
    try {
      await market.stop(lease, { reason: "the demo was closed" });
    } catch (error) {
      say(`lease ${shortId(lease)} could not be stopped: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  await Promise.all(live.map(stop));
}
