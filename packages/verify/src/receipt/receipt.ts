/**
 * Verifies a receipt offline, by folding it: short named checks in order, each line proved, claimed or failed. A line never says
 * `proved` for money that the fold of the signed documents does not give, whatever the broker adds, drops, reorders or signs again with
 * all its keys. What stands below a failed line rests on it and fails too. Who controls the input: whoever hands over the file, every
 * byte.
 */
import type { Lease } from "@xenoservers/market";
import { zReceipt, type Crypto, type MarketPins, type Receipt } from "@xenoservers/protocol";
import { checkAudit } from "./audit.ts";
import { checkBill } from "./bill.ts";
import type { Checking, OwnFacts } from "./checking.ts";
import { failed, firstWrong, proved, type Line, type Said, type Verification } from "./line.ts";
import { checkLog } from "./log.ts";
import { inLogOrder, openDocuments, type Entry } from "./opened.ts";
import { checkPurchase } from "./purchase-order.ts";
import { checkResult, wrongResult } from "./result.ts";
import { CHECKS, tell, type Check, type Told } from "./told.ts";
import { checkOpening, checkUse } from "./use.ts";
import { checkDispute, checkVerdict } from "./verdict.ts";

export type { OwnFacts } from "./checking.ts";
export type { Line, Verification } from "./line.ts";

/** Null: there is nothing to say of it in this receipt. */
const RUN: Readonly<Record<Check, (checking: Checking, lease: Lease) => Said | null>> = {
  ...{ "purchase order": checkPurchase, opening: checkOpening, use: checkUse, result: checkResult, bill: checkBill },
  ...{ dispute: checkDispute, verdict: checkVerdict, audit: checkAudit },
};

function pinsProblem({ market }: Receipt, pins: MarketPins): string | null {
  const { purchaseOrders, checkpoints, receipts } = pins.keys;
  const { keys } = market;
  const isPinned =
    market.origin === pins.origin &&
    market.operatorKey === pins.operatorKey &&
    keys.purchaseOrders === purchaseOrders &&
    keys.checkpoints === checkpoints &&
    keys.receipts === receipts;
  return isPinned ? null : "it names another market, or other keys than were pinned at login";
}

function checkSignatures(entries: readonly Entry[], told: Told, { documents = [] }: OwnFacts): Said {
  const held = new Set(entries.map(({ document }) => document.id));
  const wrong = told.wrongLeaf ?? firstWrong([[documents.every((id) => held.has(id)), "it lacks a document of this lease that you hold"]]);
  return wrong === null ? proved(`${entries.length} documents, each signed by the key it names and unchanged`) : failed(wrong);
}

/** Lines of what seldom is: they stand only where there is something of it to say. */
const SELDOM: readonly Check[] = ["dispute", "verdict", "audit"];

/**
 * The lines that rest on the fold; where something of it fails, nothing after it is believed. A result that the verifier knows to be
 * wrong is its server's lie and breaks nothing: what followed from it follows still.
 */
function foldedLines(checking: Checking, isSound: boolean): Line[] {
  const isLie = checking.told.broken?.check !== "result" && wrongResult(checking) !== null;
  const lines: Line[] = [];
  let rests = isSound;
  for (const check of CHECKS) {
    const said = rests ? saidOf(check, checking) : SELDOM.includes(check) ? null : failed("it rests on what failed above");
    if (said === null) continue;
    lines.push({ check, ...said });
    rests &&= said.status !== "failed" || (check === "result" && isLie);
  }
  return lines;
}

function saidOf(check: Check, checking: Checking): Said | null {
  const { lease, broken } = checking.told;
  if (broken?.check === check) return failed(broken.why);
  return lease === null ? failed("it does not hold its own purchase order") : RUN[check](checking, lease);
}

export function verifyReceipt(crypto: Crypto, pins: MarketPins, untrusted: unknown, own: OwnFacts = {}): Verification {
  const only = (lines: Line[]): Verification => ({ ok: false, lines });
  const parsed = zReceipt.safeParse(untrusted);
  const where = parsed.error?.issues[0]?.path.join(".") ?? "";
  if (!parsed.success) return only([{ check: "file", ...failed(`this is not a receipt: ${where}`) }]);
  const receipt = parsed.data;
  const elsewhere = pinsProblem(receipt, pins);
  if (elsewhere !== null) return only([{ check: "file", ...failed(elsewhere) }]);
  const file: Line = { check: "file", ...proved(`receipt of lease ${receipt.lease.slice(0, 12)} in ${pins.origin}`) };
  const opened = openDocuments(crypto, receipt);
  if (!opened.ok) return only([file, { check: "signatures", ...failed(opened.why) }]);
  const entries = inLogOrder(opened.entries);
  const told = tell(crypto, pins, entries);
  const signatures: Line = { check: "signatures", ...checkSignatures(entries, told, own) };
  const log: Line = { check: "log", ...checkLog(crypto, pins, receipt, entries, own.witnesses ?? []) };
  const isSound = signatures.status !== "failed" && log.status !== "failed";
  const lines = [file, signatures, log, ...foldedLines({ receipt, told, own, isLogProved: log.status === "proved" }, isSound)];
  return { ok: lines.every(({ status }) => status !== "failed"), lines };
}
