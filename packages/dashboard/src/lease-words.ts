/** Where a lease stands, how it ended and what it costs, in words. Who controls the inputs: the broker; the job (exit code). */
import { TERMS, isLive, meteringOf, type LeaseState } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { duration, gigaFuel } from "./words.ts";

const STATES: Readonly<Record<LeaseState, string>> = {
  bound: "bound to a server, which has to take it up",
  accepted: "taken up by its server",
  open: "open: it runs, or its job is on the way",
  stopping: "was asked to stop",
  committed: "its server has committed to a result, which waits for the other replicas",
  revealed: "its server shows the result",
  delivering: "its result waits until its bytes have arrived",
  ended: "has ended, and is being settled",
  closed: "is closed, and is being settled",
  settled: "settled; objections are possible for a while",
  disputed: "disputed",
  convicted: "its result was found to be wrong",
  final: "over and paid",
  lapsed: "no server took it up in time; the money is back",
};

export const stateText = (state: LeaseState): string => STATES[state];

type Tone = "good" | "bad" | "warn" | "";

/** How it stands at a glance. */
export function shortState({ state, end }: LeaseView): { text: string; tone: Tone } {
  if (!end) return { text: state, tone: state === "lapsed" ? "warn" : isLive(state) ? "" : "warn" };
  if (end.reason === "completed") return { text: `exit ${end.exitCode ?? "?"}`, tone: end.exitCode === 0 ? "good" : "bad" };
  return { text: end.reason, tone: end.blame === "nobody" || end.reason === "customer-stop" ? "warn" : "bad" };
}

export const endText = ({ reason, exitCode, blame }: NonNullable<LeaseView["end"]>): string =>
  [
    reason === "completed" ? `completed with exit code ${exitCode ?? "?"}` : `${reason}: ${TERMS[reason].says}`,
    ...(blame === "nobody" ? [] : [`blame: ${blame}`]),
  ].join("; ");

/** What its server has stated of its use; a bill where it has ended. `isFinal`: nothing more comes to it. */
export function costOf({ end, terms, usedMs, ratePerHourNanos }: LeaseView): { nanos: bigint | null; isFinal: boolean; used: string } {
  const byFuel = meteringOf(terms) === "fuel";
  if (end)
    return { nanos: BigInt(end.dueNanos), isFinal: true, used: byFuel ? gigaFuel(BigInt(end.billableFuel)) : duration(end.billableMs) };
  const byTime = (BigInt(ratePerHourNanos) * BigInt(Math.round(usedMs))) / 3_600_000n;
  return { nanos: byFuel ? null : byTime, isFinal: false, used: duration(usedMs) };
}
