/** `xeno lease stop`, `xeno rm`: ends a lease; what it wrote so far is kept. */
import { isLive } from "@xenoservers/market";
import { openClient } from "../input/client.ts";
import type { LeaseInput } from "../input/verbs/lease.ts";
import { endLine } from "../output/lease-lines.ts";
import { print, printJson, say } from "../output/terminal.ts";

const ENDED_WITHIN_MS = 120_000;
const POLL_MS = 200;
const SAID_AFTER_MS = 2_000;

export async function leaseStop({ lease: id, json }: LeaseInput): Promise<void> {
  const { client, context } = await openClient("control", "read");
  const lease = await client.read("lease", { params: { id } });
  if (isLive(lease.state)) await client.act("stop", { lease: lease.id, party: context.party, reason: "stopped by hand" });
  else if (!json) say("it had ended already");
  // a program that does not heed its signal has its grace
  const silence = client.timers.after(SAID_AFTER_MS, () => {
    if (!json) say("it was asked to end; a program that does not is killed when its grace is over (xeno run --stop-grace)");
  });
  const deadline = client.timers.now() + ENDED_WITHIN_MS;
  try {
    for (;;) {
      const after = await client.read("lease", { params: { id: lease.id } });
      if (isLive(after.state) && client.timers.now() < deadline) await client.sleep(POLL_MS);
      else return json ? printJson(after) : print(endLine(after, context.currency));
    }
  } finally {
    silence();
  }
}
