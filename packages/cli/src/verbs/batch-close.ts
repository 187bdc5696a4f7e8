/** `xeno batch close`: what was not drawn comes back. */
import { z } from "zod";
import { openClient } from "../input/client.ts";
import type { BatchCloseInput } from "../input/verbs/batch.ts";
import { print, printJson } from "../output/terminal.ts";
import { money } from "../output/ui.ts";

const zClosed = z.looseObject({ returnedNanos: z.string() });

export async function batchClose({ batch, json }: BatchCloseInput): Promise<void> {
  const { client, context } = await openClient("control");
  const answer = await client.act("batch-close", { party: context.party, batch });
  if (json) printJson(answer);
  else print(`${money(zClosed.parse(answer).returnedNanos, context.currency)} came back`);
}
