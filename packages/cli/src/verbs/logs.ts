/** `xeno logs`: what a job has written, from its server or from the copy that lies sealed with the broker. */
import { holdsCapacity } from "@xenoservers/market";
import { Market, shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { LogsInput } from "../input/verbs/lease.ts";
import { showOutput, showState } from "../output/shown.ts";
import { UserError } from "../output/ui.ts";
import { attach } from "./attach.ts";

/** Without a byte or a word of the server. */
const ANSWER_WAIT_MS = 60_000;

export async function logs({ lease: id, follow: keep }: LogsInput): Promise<void> {
  if (keep) return attach({ lease: id, out: null, stdin: false });
  const { client } = await openClient("read");
  const market = Market.of(client);
  const lease = await market.lease(id);
  const job = await market.attach(lease.id, { leaveFiles: true, receiptWaitMs: 0, onState: showState });
  const silent = Promise.withResolvers<"silent">();
  let cancel = (): void => {};
  const listen = (): void => {
    cancel();
    cancel = client.timers.after(ANSWER_WAIT_MS, () => silent.resolve("silent"));
  };
  listen();
  const shown = showOutput(job.output, listen);
  try {
    if (!holdsCapacity(lease.state)) {
      if ((await job.delivered) === null)
        throw new UserError(
          `the output of ${shortId(lease.id)} cannot be had: its server keeps it no more and nothing lies with the broker`,
        );
      return;
    }
    const over = job.shown.catch(() => {});
    if ((await Promise.race([over, silent.promise])) === "silent")
      throw new UserError(`the server of ${shortId(lease.id)} does not answer now; try again later`);
  } finally {
    cancel();
    // what came until then is shown
    job.detach();
    await shown;
  }
}
