/** `xeno lease stop`, `xeno rm`: ends a lease; what it wrote so far is kept. */
import { isLive } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { home, type MarketClient } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { LeaseInput } from "../input/verbs/lease.ts";
import { noteLease } from "../output/completion-words.ts";
import { endLine } from "../output/lease-lines.ts";
import { print, printJson, say } from "../output/terminal.ts";

const ENDED_WITHIN_MS = 120_000;
const POLL_MS = 200;
const SAID_AFTER_MS = 2_000;

/** Asks for its end and waits for it, for a while; gives how it stands then. `says`: what a person should know meanwhile. */
export async function stopLease(client: MarketClient, id: string, says: (text: string) => void): Promise<LeaseView> {
  const lease = await client.read("lease", { params: { id } });
  if (isLive(lease.state)) await client.act("stop", { lease: lease.id, party: client.identity.party, reason: "stopped by hand" });
  else says("it had ended already");
  // a program that does not heed its signal has its grace
  const silence = client.timers.after(SAID_AFTER_MS, () =>
    says("it was asked to end; a program that does not is killed when its grace is over (xeno run --stop-grace)"),
  );
  const deadline = client.timers.now() + ENDED_WITHIN_MS;
  try {
    for (;;) {
      const after = await client.read("lease", { params: { id: lease.id } });
      if (!isLive(after.state) || client.timers.now() >= deadline) return after;
      await client.sleep(POLL_MS);
    }
  } finally {
    silence();
  }
}

export async function leaseStop({ lease: id, json }: LeaseInput): Promise<void> {
  const { client, context } = await openClient("control", "read");
  const after = await stopLease(client, id, (text) => void (json || say(text)));
  if (!isLive(after.state)) await noteLease(home.data, after.id, false);
  return json ? printJson(after) : print(endLine(after, context.currency));
}
