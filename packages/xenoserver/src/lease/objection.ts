/** Whoever computes another bill objects inside the window (PROTOCOL section 4). Who controls the inputs: the broker (closing, settlement). */
import { parseDocumentOf, signDocument, type Payload } from "@xenoservers/protocol";
import { computeBill, settlementProblem } from "@xenoservers/verify";
import type { LeaseRecord } from "./journal.ts";
import type { RunnerWorld } from "./runner-world.ts";

/** A stop's exact time and an extension's are the broker's, so those settlements are not compared. */
export async function objectToWrongSettlement(
  { crypto, signer, submit, log }: RunnerWorld,
  record: LeaseRecord,
  po: Payload<"purchase-order">,
  { closing, settlement }: Record<string, unknown>,
): Promise<void> {
  const [closed, settled] = [parseDocumentOf(crypto, "closing", closing), parseDocumentOf(crypto, "settlement", settlement)];
  const extended = record.durationMsMax !== po.durationMsMax;
  if (!closed.ok || !settled.ok || extended || record.stop === "customer-stop" || record.stop === "owner-stop") return;
  const { at: endedAt, reason } = closed.document.payload;
  const { usedMs, fuel, egressBytes } = record.result!;
  const own = computeBill({
    po,
    amendment: null,
    reason,
    openedAt: record.openedAt,
    endedAt,
    claimedMs: usedMs,
    claimedFuel: BigInt(fuel),
    claimedEgressBytes: BigInt(egressBytes),
  });
  const problem = settlementProblem(own, settled.document.payload);
  if (problem === null) return;
  log("the settlement is wrong: objecting", { lease: record.lease, problem });
  const objection = { origin: po.origin, seen: null, lease: record.lease, party: po.owner, expectedDueNanos: own.dueNanos.toString(), reason: problem };
  const answer = await submit(signDocument(crypto, signer, "objection", objection).envelope);
  if (!answer.ok) log("the objection was refused", { lease: record.lease, code: answer.code });
}
