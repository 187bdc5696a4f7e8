/**
 * What the job came to, and whether its customer has it. Who controls the inputs: the server (the manifest), the customer or the broker
 * (the delivery).
 */
import { wasRun, type Lease } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import { resultProblem } from "../judging/re-execution.ts";
import { ownRun, type Checking, type OwnFacts } from "./checking.ts";
import { claimed, failed, proved, type Said } from "./line.ts";

/** By whose word the bytes are delivered; null where nothing had to be, or nobody says so. */
function delivered(lease: Lease, { outputDigest }: OwnFacts): string {
  if (outputDigest !== undefined) return "; what was received is what the server signed";
  switch (lease.delivery?.by) {
    case "customer":
      return "; its customer signed for its bytes";
    case "broker":
      return "; that its bytes lie sealed with the broker is the broker's word";
    case undefined:
      return "";
  }
}

/** What the verifier itself knows better than the manifest, in words; null where nothing. */
export function wrongResult(checking: Checking): string | null {
  const { told, own } = checking;
  const payload = told.documentOf("result")?.payload;
  if (!payload) return null;
  if (own.outputDigest !== undefined && own.outputDigest !== payload.outputDigest) return "what was received is not what the server signed";
  const run = ownRun(checking);
  return run && wasRun(payload) ? resultProblem(payload, run) : null;
}

export function checkResult(checking: Checking, lease: Lease): Said {
  const { told, own } = checking;
  const payload = told.documentOf("result")?.payload;
  if (!payload) return claimed("no result was handed in");
  const wrong = wrongResult(checking);
  if (wrong !== null) return failed(wrong);
  const ending = payload.exitCode === null ? payload.reason : `exit code ${payload.exitCode}`;
  const bytes = delivered(lease, own);
  if (ownRun(checking) && wasRun(payload))
    return proved(`${ending}: running the same job again gave the same: ${compared(payload)}${bytes}`);
  const elsewhere = own.reExecuted && !ownRun(checking) ? "; what was run here is another job and says nothing of this one" : "";
  const whose = `under '${lease.assurance}' its correctness is the owner's word`;
  return claimed(`the server signed ${ending} for exactly this job; ${whose}${bytes}${elsewhere}`);
}

const compared = ({ memoryHash, fuel }: Payload<"result">): string =>
  memoryHash === null ? "the output up to where it was stopped" : `output, ${fuel} fuel and memory`;
