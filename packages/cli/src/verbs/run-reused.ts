/** `xeno run --reuse`: what the same job came to earlier, in place of a run. Nothing is ordered or signed, and nothing is due. */
import { earlierHere, shortId, type Work } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { RunInput } from "../input/verbs/run.ts";
import { writeHere } from "../output/deliver.ts";
import { encodedStreams } from "../output/encoded.ts";
import { dim, printJson, say, showRaw } from "../output/terminal.ts";
import { UserError, when } from "../output/ui.ts";
import { ALIKE_ALONE } from "./alike-alone.ts";

/** False: there is none that holds, and it has to be run. */
export async function reused({ out, json, quiet }: RunInput, work: Work): Promise<boolean> {
  if (!work.module) throw new UserError(ALIKE_ALONE);
  const { client } = await openClient();
  const found = await earlierHere(client, work, out !== null || work.shared.length > 0);
  if (!found) return false;
  const { run, result, settlement, fetch } = found;
  await writeHere(run.tree, fetch, out, work.shared);
  const { reason, blame, at, audited } = settlement;
  if (json) {
    const end = { reason, blame, at, audited, exitCode: result.exitCode, dueNanos: "0", refundNanos: "0" };
    const head = { lease: run.lease, reused: true, end, detail: result.detail, audit: null, delivered: "server" };
    printJson({ ...head, ...encodedStreams({ stdout: [run.printed.stdout], stderr: [run.printed.stderr] }) });
    return true;
  }
  for (const stream of ["stdout", "stderr"] as const) await showRaw(stream, run.printed[stream]);
  if (quiet) return true;
  say(`reused   what lease ${shortId(run.lease)} came to at ${when(at)}: nothing was ordered, nothing is due`);
  say(dim(`         check it: xeno verify ${shortId(run.lease)}`));
  return true;
}
