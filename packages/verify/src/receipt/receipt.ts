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
import { Listing } from "./claims.ts";
import { LeftOut } from "./left-out.ts";
import { failed, firstWrong, proved, type ReceiptLine, type ReceiptVerification, type Rest, type Said } from "./line.ts";
import { CHECKS, RULES, SELDOM, type Check } from "./lines.ts";
import { LogCheck, type UnderCheckpoint } from "./log.ts";
import { inLogOrder, openDocuments, type Entry } from "./opened.ts";
import { checkPurchase, whoseLease } from "./purchase-order.ts";
import { checkResult, wrongResult } from "./result.ts";
import { borne, restsOf } from "./standing.ts";
import { toldBy, type Told } from "./told.ts";
import { checkOpening, checkUse } from "./use.ts";
import { checkDispute, checkVerdict } from "./verdict.ts";

export type { OwnFacts, OwnRun } from "./checking.ts";
export type { Line, ReceiptLine, ReceiptVerification, Verification } from "./line.ts";

/** Null: there is nothing to say of it in this receipt. */
const RUN: Readonly<Record<Check, (checking: Checking, lease: Lease) => Said | null>> = {
  ...{ "purchase order": checkPurchase, opening: checkOpening, use: checkUse, result: checkResult, bill: checkBill },
  ...{ dispute: checkDispute, verdict: checkVerdict, audit: checkAudit },
};

export function pinsProblem({ market }: Pick<Receipt, "market">, pins: MarketPins): string | null {
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

const head = (check: "file" | "signatures" | "log", said: Said, documents: readonly Rest[] = []): ReceiptLine => ({
  ...{ check, ...said, rules: RULES[check], documents, computed: [] },
});

export const fileLine = ({ lease }: { lease: string }, { origin }: MarketPins): ReceiptLine =>
  head("file", proved(`receipt of lease ${lease.slice(0, 12)} in ${origin}`));

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

/** Hears a receipt's documents one by one, in the log's order, and holds no more of them than its lines tell. */
export class Reading {
  readonly told: Told;
  readonly #lease: string;
  readonly #pins: MarketPins;
  readonly #log: LogCheck;
  readonly #leftOut: LeftOut;
  /** What every document is to the lines that ask no more of it than its signature and its place. */
  readonly #signed: Rest[] = [];
  readonly #listing = new Listing();
  #count = 0;
  readonly #lacked: Set<string>;

  /** `told`: of whom nothing was heard yet. */
  constructor(crypto: Crypto, pins: MarketPins, told: Told, { lease, ...under }: UnderCheckpoint & { lease: string }, own: OwnFacts) {
    [this.told, this.#lease, this.#pins] = [told, lease, pins];
    this.#log = new LogCheck(crypto, pins, under);
    this.#leftOut = new LeftOut(lease);
    this.#lacked = new Set(own.documents);
  }

  hear(entry: Entry): void {
    const { document, index } = entry;
    const { kind, id, keyid } = document;
    this.#lacked.delete(id);
    this.told.hear(entry, this.#count++);
    this.#log.hear(entry);
    this.#leftOut.hear(document);
    if (this.#listing.lists(kind, index)) this.#signed.push({ kind, id, by: `key ${keyid.slice(0, 12)}`, index, grant: false });
  }

  #signatures(): Said {
    const wrong = this.told.wrongLeaf ?? firstWrong([[this.#lacked.size === 0, "it lacks a document of this lease that you hold"]]);
    return wrong === null ? proved(`${this.#count} documents, each signed by the key it names and unchanged`) : failed(wrong);
  }

  said(own: OwnFacts): ReceiptVerification {
    const file = fileLine({ lease: this.#lease }, this.#pins);
    const signatures = head("signatures", this.#signatures(), this.#signed);
    const log = head("log", this.#log.said(own.witnesses ?? []), this.#signed);
    const isSound = signatures.status !== "failed" && log.status !== "failed";
    const checking = { receipt: { lease: this.#lease }, told: this.told, own, isLogProved: log.status === "proved" };
    const lines = [file, signatures, log, ...foldedLines(checking, this.#leftOut.missing, isSound)];
    const isBound = lines.some(({ check, status }) => check === "purchase order" && status !== "failed");
    return { ok: lines.every(({ status }) => status !== "failed"), lines, whose: isBound ? whoseLease(checking) : null };
  }
}

/** One that says no more than this. */
export const failedAt = (check: "file" | "signatures", why: string, before: ReceiptLine[] = []): ReceiptVerification => ({
  ...{ ok: false, lines: [...before, head(check, failed(why))], whose: null },
});

export function verifyReceipt(crypto: Crypto, pins: MarketPins, untrusted: unknown, own: OwnFacts = {}): ReceiptVerification {
  const parsed = zReceipt.safeParse(untrusted);
  const where = parsed.error?.issues[0]?.path.join(".") ?? "";
  if (!parsed.success) return failedAt("file", `this is not a receipt: ${where}`);
  const receipt = parsed.data;
  const elsewhere = pinsProblem(receipt, pins);
  if (elsewhere !== null) return failedAt("file", elsewhere);
  const opened = openDocuments(crypto, receipt);
  if (!opened.ok) return failedAt("signatures", opened.why, [fileLine(receipt, pins)]);
  const entries = inLogOrder(opened.entries);
  const reading = new Reading(crypto, pins, toldBy(crypto, pins, entries), receipt, own);
  for (const entry of entries) reading.hear(entry);
  return reading.said(own);
}
