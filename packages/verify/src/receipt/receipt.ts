/**
 * Verifies a receipt offline, by folding it: short named checks in order, each line proved, claimed or failed. A line never says
 * `proved` for money that the fold of the signed documents does not give, whatever the broker adds, drops, reorders or signs again with
 * all its keys; nor where a document that it rests on is outside the log. What stands below a failed line rests on it and fails too. Who
 * controls the input: whoever hands over the file, every byte.
 */
import type { Lease } from "@xenoservers/market";
import { zReceipt, type Crypto, type MarketPins, type Receipt } from "@xenoservers/protocol";
import { checkAudit } from "./audit.ts";
import { checkBill } from "./bill.ts";
import type { Checking, OwnFacts } from "./checking.ts";
import { COMPUTED } from "./computed.ts";
import { leftOut } from "./left-out.ts";
import { failed, firstWrong, proved, type ReceiptLine, type ReceiptVerification, type Rest, type Said } from "./line.ts";
import { CHECKS, RULES, SELDOM, type Check } from "./lines.ts";
import { checkLog } from "./log.ts";
import { inLogOrder, openDocuments, type Entry } from "./opened.ts";
import { checkPurchase, whoseLease } from "./purchase-order.ts";
import { checkResult, wrongResult } from "./result.ts";
import { borne, restsOf } from "./standing.ts";
import { tell, type Told } from "./told.ts";
import { checkOpening, checkUse } from "./use.ts";
import { checkDispute, checkVerdict } from "./verdict.ts";

export type { OwnFacts, OwnRun } from "./checking.ts";
export type { Line, ReceiptLine, ReceiptVerification, Verification } from "./line.ts";

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

const head = (check: "file" | "signatures" | "log", said: Said, documents: readonly Rest[] = []): ReceiptLine => ({
  ...{ check, ...said, rules: RULES[check], documents, computed: [] },
});

/** What every document is to the lines that ask no more of it than its signature and its place. */
const asSigned = (entries: readonly Entry[]): Rest[] =>
  entries.map(({ document: { kind, id, keyid }, index }) => ({ kind, id, by: `key ${keyid.slice(0, 12)}`, index, grant: false }));

/**
 * The lines that rest on the fold; where something of it fails, nothing after it is believed. A result that the verifier knows to be
 * wrong is its server's lie and breaks nothing: what followed from it follows still.
 */
function foldedLines(checking: Checking, missing: ReadonlyMap<Check, string>, isSound: boolean): ReceiptLine[] {
  const { told } = checking;
  const isLie = told.broken?.check !== "result" && !missing.has("result") && wrongResult(checking) !== null;
  const lines: ReceiptLine[] = [];
  const below: Rest[] = [];
  let rests = isSound;
  for (const check of CHECKS) {
    const said = rests ? saidOf(check, checking, missing) : SELDOM.includes(check) ? null : failed("it rests on what failed above");
    if (said === null) continue;
    const documents = restsOf(check, told);
    below.push(...documents);
    const computed = told.lease && rests ? COMPUTED[check](checking, told.lease) : [];
    lines.push({ check, ...borne(said, below), rules: RULES[check], documents, computed });
    rests &&= said.status !== "failed" || (check === "result" && isLie);
  }
  return lines;
}

function saidOf(check: Check, checking: Checking, missing: ReadonlyMap<Check, string>): Said | null {
  const { lease, broken } = checking.told;
  const wrong = [missing.get(check), broken?.check === check ? broken.why : undefined].filter((why) => why !== undefined);
  if (wrong.length > 0) return failed(wrong.join("; "));
  return lease === null ? failed("it does not hold its own purchase order") : RUN[check](checking, lease);
}

export function verifyReceipt(crypto: Crypto, pins: MarketPins, untrusted: unknown, own: OwnFacts = {}): ReceiptVerification {
  const only = (lines: ReceiptLine[]): ReceiptVerification => ({ ok: false, lines, whose: null });
  const parsed = zReceipt.safeParse(untrusted);
  const where = parsed.error?.issues[0]?.path.join(".") ?? "";
  if (!parsed.success) return only([head("file", failed(`this is not a receipt: ${where}`))]);
  const receipt = parsed.data;
  const elsewhere = pinsProblem(receipt, pins);
  if (elsewhere !== null) return only([head("file", failed(elsewhere))]);
  const file = head("file", proved(`receipt of lease ${receipt.lease.slice(0, 12)} in ${pins.origin}`));
  const opened = openDocuments(crypto, receipt);
  if (!opened.ok) return only([file, head("signatures", failed(opened.why))]);
  const entries = inLogOrder(opened.entries);
  const told = tell(crypto, pins, entries);
  const signatures = head("signatures", checkSignatures(entries, told, own), asSigned(entries));
  const log = head("log", checkLog(crypto, pins, receipt, entries, own.witnesses ?? []), asSigned(entries));
  const isSound = signatures.status !== "failed" && log.status !== "failed";
  const checking = { receipt, told, own, isLogProved: log.status === "proved" };
  const lines = [file, signatures, log, ...foldedLines(checking, leftOut(receipt.lease, entries), isSound)];
  const isBound = lines.some(({ check, status }) => check === "purchase order" && status !== "failed");
  return { ok: lines.every(({ status }) => status !== "failed"), lines, whose: isBound ? whoseLease(checking) : null };
}
