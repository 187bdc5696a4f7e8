/** `xeno lease extend`: more time, and a larger hold for it. */
import { openMarket } from "../input/market.ts";
import type { ExtendInput } from "../input/verbs/lease.ts";
import { print, printJson } from "../output/terminal.ts";
import { duration, money } from "../output/ui.ts";

export async function leaseExtend({ lease, duration: by, json }: ExtendInput): Promise<void> {
  const { market, context } = await openMarket("spend", "read");
  const { durationMsMax, holdNanos, answer } = await market.extend(lease, by);
  if (json) return printJson(answer);
  print(`may run ${duration(durationMsMax)} in all; ${money(holdNanos, context.currency)} held`);
}
