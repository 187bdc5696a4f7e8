/** `xeno run --reuse`: what the same job came to earlier, in place of a run. Nothing is ordered or signed, and nothing is due. */
import { Market, shortId, type Work } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { RunInput } from "../input/verbs/run.ts";
import { plannedHere } from "../output/deliver.ts";
import { encodedStreams } from "../output/encoded.ts";
import { dim, printJson, say, showRaw } from "../output/terminal.ts";
import { UserError, when } from "../output/ui.ts";
import { ALIKE_ALONE } from "./alike-alone.ts";

/** False: there is none that holds, and it has to be run. */
export async function reused({ out, json, quiet }: RunInput, work: Work): Promise<boolean> {
  if (!work.module) throw new UserError(ALIKE_ALONE);
  const { client } = await openClient();
  const found = await Market.of(client).earlierOf(plannedHere(work, out));
  if (!found) return false;
  const { lease, end, exitCode, detail, printed } = found;
  if (json) {
    const head = { lease, reused: true, end: { ...end, exitCode, dueNanos: "0", refundNanos: "0" }, detail };
    const streams = encodedStreams({ stdout: [printed.stdout], stderr: [printed.stderr] });
    printJson({ ...head, audit: null, delivered: "server", ...streams });
    return true;
  }
  for (const stream of ["stdout", "stderr"] as const) await showRaw(stream, printed[stream]);
  if (quiet) return true;
  say(`reused   what lease ${shortId(lease)} came to at ${when(end.at)}: nothing was ordered, nothing is due`);
  say(dim(`         check it: xeno verify ${shortId(lease)}`));
  return true;
}
