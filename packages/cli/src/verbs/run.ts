/**
 * `xeno run`: what was asked for is checked and read, then run here or on the market. Progress on stderr, the job's own output on stdout
 * and stderr.
 */
import { assertPlaceFor, bootsMachine, placeProblem } from "@xenoservers/sdk";
import type { RunInput } from "../input/verbs/run.ts";
import { assertFedOnce } from "../input/fed-once.ts";
import { workOf } from "../input/work.ts";
import { assertLinux } from "../local/right-system.ts";
import { dim, say, yellow } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";
import { ALIKE_ALONE } from "./alike-alone.ts";

/** Most of the SDK: a job that runs here needs none of it. */
const byLease = () => import("./run-by-lease.ts");

export async function run(input: RunInput): Promise<void> {
  if (input.detach && input.stopOnExit)
    throw new UserError("--detach leaves the job to run on, and --stop-on-exit does not: give one of them");
  if (input.reuse && (input.replicas > 1 || input.detach || input.dryRun || input.local))
    throw new UserError(
      "--reuse takes one earlier result, and runs on the market where there is none: leave out --detach, --dry-run, --local and --replicas",
    );
  if (input.reuse && bootsMachine(input)) throw new UserError(ALIKE_ALONE);
  if (input.retries !== null && (input.replicas > 1 || input.detach))
    throw new UserError("--retries waits for the end of one lease: leave out --detach, and --replicas");
  if (input.local && input.dryRun)
    throw new UserError("--dry-run shows a quote, and what runs on this machine has none: leave out --local, or --dry-run");
  if (input.after !== null && (input.local || input.dryRun))
    throw new UserError("--after waits for leases before it orders: leave out --local, and --dry-run");
  const mayWait = input.wait || input.for !== null;
  if (mayWait && (input.noWait || input.replicas > 1 || input.local))
    throw new UserError("--wait and --for wait for room on one server: leave out --no-wait, --replicas and --local");
  if (input.local) assertLinux("run --local");
  if (input.out !== null) await assertPlaceFor(input.out);
  if (input.after !== null) await (await byLease()).afterThese(input.after, input.quiet || input.json);
  const work = await workOf(input);
  assertFedOnce(work, input);
  const quiet = input.quiet || input.json;
  if (!quiet) for (const line of work.says) say(dim(line));
  for (const { host } of work.shared) {
    const problem = await placeProblem(host);
    // it may change nothing there
    if (problem !== null) say(yellow(`         what it changes in ${host} cannot come back (${problem})`));
  }
  if (input.local) {
    if (!work.module) throw new UserError("--local runs modules and scripts; a virtual machine needs a server: xeno serve");
    const { runLocally } = await import("../local/local-run.ts");
    process.exitCode = await runLocally(work.module, work.wanted, input.out, input.json);
    return;
  }
  return (await byLease()).runByLease(input, work);
}
