/** `xeno lease stop`, `xeno rm`: ends a lease; what it wrote so far is kept. */
import { isLive } from "@xenoservers/market";
import { home } from "@xenoservers/sdk";
import { openMarket } from "../input/market.ts";
import type { LeaseInput } from "../input/verbs/lease.ts";
import { noteLease } from "../output/completion-words.ts";
import { endLine } from "../output/lease-lines.ts";
import { print, printJson, say } from "../output/terminal.ts";

const SAID_AFTER_MS = 2_000;
const SLOW = "it was asked to end; a program that does not is killed when its grace is over (xeno run --stop-grace)";

export async function leaseStop({ lease: id, json }: LeaseInput): Promise<void> {
  const { market, context } = await openMarket("control", "read");
  const says = (text: string): void => void (json || say(text));
  let silence: (() => void) | null = null;
  // a program that does not heed its signal has its grace
  const onAsked = (): void => void (silence = market.client.timers.after(SAID_AFTER_MS, () => says(SLOW)));
  const after = await market.stop(id, { reason: "stopped by hand", onAsked }).finally(() => silence?.());
  if (silence === null) says("it had ended already");
  if (!isLive(after.state)) await noteLease(home.data, after.id, false);
  return json ? printJson(after) : print(endLine(after, context.currency));
}
