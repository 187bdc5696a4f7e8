/** `xeno lease extend`: more time, and a larger hold for it. */
import { z } from "zod";
import { openClient } from "../input/client.ts";
import type { ExtendInput } from "../input/verbs/lease.ts";
import { print, printJson } from "../output/terminal.ts";
import { duration, money } from "../output/ui.ts";

const zExtended = z.looseObject({ durationMsMax: z.number(), holdNanos: z.string() });

export async function leaseExtend({ lease: id, duration: by, json }: ExtendInput): Promise<void> {
  const { client, context } = await openClient("spend", "read");
  const lease = await client.read("lease", { params: { id } });
  const answer = await client.act("extension", {
    lease: lease.id,
    party: context.party,
    durationMsMax: lease.durationMsMax + by,
    previous: lease.lastAmendment ?? lease.id,
  });
  if (json) return printJson(answer);
  const { durationMsMax, holdNanos } = zExtended.parse(answer);
  print(`may run ${duration(durationMsMax)} in all; ${money(holdNanos, context.currency)} held`);
}
