/**
 * Whether the result was drawn for an audit, as the broker says: a round fixed its secret before, and shows it when it is over. Who
 * controls the inputs: the broker (round, secret, draw), the customer (the salt), both and the owner (the lease's id).
 */
import { PPM, drawPpm, type Lease, type LeaseEnd } from "@xenoservers/market";
import { dateText, fromHex, toHex } from "@xenoservers/protocol";
import { wasDrawn } from "../judging/audit-draw.ts";
import type { Checking } from "./checking.ts";
import { claimed, failed, firstWrong, proved, type Said } from "./line.ts";

const NO_BYTES = new Uint8Array();
const PERCENT = 100;

function saidOf({ auditPpm, stakeNanos }: Lease, { audited, dueNanos }: LeaseEnd): string {
  const rate = (drawPpm(auditPpm, BigInt(dueNanos), BigInt(stakeNanos)) / PPM) * PERCENT;
  return `${audited ? "drawn" : "not drawn"} at a rate of ${Number(rate.toFixed(2))} %`;
}

/** Null where its result cannot be audited. */
export function checkAudit({ told, isLogProved }: Checking, lease: Lease): Said | null {
  const { end, result } = lease;
  if (!end || !result || end.audited === null) return null;
  const says = saidOf(lease, end);
  if (end.auditRound === null)
    return claimed(`${says}: that no round was open is the broker's word, and without one every result is drawn`);
  const opened = told.auditRounds.find(({ document }) => document.id === end.auditRound);
  if (!opened) return failed("it lacks the round that its result was drawn in");
  const logged = told.taken.find(({ fact }) => fact.kind === "result")?.place ?? 0;
  const { from, until, commitment } = opened.document.payload;
  if (from > result.at || opened.place > logged) return failed("the secret of its round was fixed after its result was logged");
  const shown = told.auditReveals.find(({ document }) => document.payload.auditRound === end.auditRound);
  if (!shown) return claimed(`${says}; claimed until the round ends, at ${dateText(until)}`);
  const { secret, to } = shown.document.payload;
  const wrong = firstWrong([
    [toHex(told.world.crypto.sha256(fromHex(secret) ?? NO_BYTES)) === commitment, "the secret that is shown is not the one that was fixed"],
    [result.at < to, "the round had ended before its result was logged"],
    [
      wasDrawn(told.world.crypto, secret, lease, end.dueNanos) === end.audited,
      `${says}, says its broker; its round's secret says otherwise`,
    ],
  ]);
  if (wrong !== null) return failed(wrong);
  const recomputed = `${says}, recomputed from the secret of its round`;
  if (shown.place < logged) return claimed(`${recomputed}; it was shown before the log had the result`);
  return isLogProved
    ? proved(`${recomputed}, which was fixed before`)
    : claimed(`${recomputed}; that it was fixed before is the log's word`);
}
