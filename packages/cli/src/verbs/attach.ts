/** `xeno attach`: follows a lease to its end, wherever its output is by then: at its server, or sealed with the broker. */
import { Market, shortId, type Job } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { AttachInput } from "../input/verbs/lease.ts";
import { joinedHere } from "../machine/joined.ts";
import { cameTo } from "../output/came.ts";
import { exitCodeWith } from "../output/deliver.ts";
import { endLine } from "../output/lease-lines.ts";
import { ReceiptLine } from "../output/receipt-line.ts";
import { showOutput, showState } from "../output/shown.ts";
import { say, yellow } from "../output/terminal.ts";
import { stoppedLines } from "../proof/why-stopped.ts";

export async function attach({ lease: id, out, stdin }: AttachInput): Promise<void> {
  const { client, context } = await openClient("read");
  const joined = joinedHere(false);
  const receipt = new ReceiptLine(false);
  const job: Job = await Market.of(client).attach(id, {
    ...(out === null ? { leaveFiles: true } : { out }),
    ...{ receiptWaitMs: 0, onState: showState, onWarning: (text) => say(yellow(text)) },
    onReceipt: (progress) => receipt.show(progress),
    onInput(isTerminal) {
      if (stdin && isTerminal) joined.followSize(job);
      return joined.input({ stdin, terminal: isTerminal || null });
    },
  });
  const left = Promise.race([new Promise<null>((resolve) => process.once("SIGINT", () => resolve(null))), joined.left.then(() => null)]);
  const shown = showOutput(job.output);
  try {
    const came = await Promise.race([cameTo(job), left]);
    if (came === null) return say(`it runs on; follow it with: xeno attach ${shortId(job.lease)}`);
    await shown;
    receipt.end(true);
    const { lease, result } = came;
    const isDelivered = (result?.delivered ?? null) !== null;
    say(endLine(lease, context.currency), ...(await stoppedLines(client, lease)));
    process.exitCode = exitCodeWith(lease, isDelivered);
    if (lease.end?.result && !isDelivered)
      say(`its output cannot be had any more, or is not what the server signed: xeno dispute ${shortId(lease.id)}`);
  } finally {
    receipt.end(false);
    job.detach();
    joined.close();
  }
}
