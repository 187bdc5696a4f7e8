/** `xeno logs`: what a job has written, from its server or from the copy that lies sealed with the broker. */
import { holdsCapacity } from "@xenoservers/market";
import { openClient } from "../input/home.ts";
import type { LogsInput } from "../input/verbs/lease.ts";
import { follow, shownHere } from "../output/follow.ts";
import { UserError, shortId } from "../output/ui.ts";
import { attach } from "./attach.ts";

/** Of a guest that still runs: what came so far is shown when nothing has come for so long. */
const QUIET_MS = 1_000;

export async function logs({ lease: id, follow: keep }: LogsInput): Promise<void> {
  if (keep) return attach({ lease: id, out: null });
  const { client } = await openClient("read");
  let heardAt = client.timers.now();
  const { lease, session, close } = await follow(client, id, {
    ...shownHere,
    onOutput(stream, bytes) {
      heardAt = client.timers.now();
      process[stream].write(bytes);
    },
  });
  try {
    if (holdsCapacity(lease.state)) while (client.timers.now() - heardAt < QUIET_MS) await client.sleep(QUIET_MS / 10);
    else if ((await session.delivered()) === null)
      throw new UserError(`the output of ${shortId(lease.id)} cannot be had: its server keeps it no more and nothing lies with the broker`);
  } finally {
    close();
  }
}
