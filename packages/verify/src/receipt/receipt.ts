/**
 * Verifies a receipt offline: short named checks in order, each line proved, claimed or failed. Proved: follows from signatures of the party it
 * speaks of, or from arithmetic on such documents. Claimed: one party's word. Log facts stay claimed while no witness has cosigned them.
 * Who controls the input: whoever hands over the file, every byte.
 */
import { checkClaim, formatMoney, meteringOf, type ClaimPosition } from "@xenoservers/market";
import {
  KIND_TABLE,
  cosignatureOf,
  fromHex,
  leafHashOf,
  parseDocument,
  parseDocumentOf,
  quorumOf,
  serverIdOf,
  verifyCheckpoint,
  verifyInclusion,
  zReceipt,
  type AnyDocument,
  type Crypto,
  type Kind,
  type Receipt,
  type ReceiptDocument,
  type SignedDocument,
  type Witness,
} from "@xenoservers/protocol";
import { resultProblem, wasRun, type ReExecuted } from "../judging/re-execution.ts";
import { isComparable } from "../judging/comparison.ts";
import { judge } from "../judging/judgement.ts";
import { computeBill, settlementProblem } from "./bill.ts";
import { checkPurchaseOrder, type CheckedPurchaseOrder, type MarketPins } from "./purchase-order.ts";

export interface Line {
  status: "proved" | "claimed" | "failed";
  check: string;
  says: string;
}
export interface Verification {
  ok: boolean;
  lines: Line[];
}

export interface OwnFacts {
  /** The verifier's own order key: a receipt for somebody else's order is then a failure. */
  customerKey?: string;
  /** What the verifier received, to compare with the result manifest. */
  outputDigest?: string;
  /** Whose cosignatures count; log facts are proved when more than half of them signed. */
  witnesses?: readonly Witness[];
  /** What running the job again here came to: proves the result right, or wrong. */
  reExecuted?: ReExecuted;
}

class Failure extends Error {}
const must: (condition: unknown, says: string) => asserts condition = (condition, says) => {
  if (!condition) throw new Failure(says);
};

interface Opened {
  at: number;
  document: AnyDocument;
}

class Documents {
  readonly #all: Opened[];
  constructor(all: Opened[]) {
    this.#all = all;
  }
  of<K extends Kind>(kind: K): { at: number; document: SignedDocument<K> }[] {
    return this.#all.filter(({ document }) => document.kind === kind) as never;
  }
  one<K extends Kind>(kind: K): { at: number; document: SignedDocument<K> } | null {
    const found = this.of(kind);
    must(found.length <= 1, `there are ${found.length} documents of kind ${kind}`);
    return found[0] ?? null;
  }
}

export function verifyReceipt(crypto: Crypto, pins: MarketPins, untrusted: unknown, own: OwnFacts = {}): Verification {
  const lines: Line[] = [];
  const check = <T>(name: string, run: () => { status?: Line["status"]; says: string; value?: T }): T | null => {
    try {
      const { status = "proved", says, value } = run();
      lines.push({ status, check: name, says });
      return value ?? null;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      lines.push({ status: "failed", check: name, says: error.message });
      return null;
    }
  };
  const receipt = check("file", () => {
    const parsed = zReceipt.safeParse(untrusted);
    must(parsed.success, `this is not a receipt: ${parsed.success ? "" : parsed.error.issues[0]?.path.join(".")}`);
    must(
      parsed.data.market.origin === pins.origin && JSON.stringify(parsed.data.market.keys) === JSON.stringify(pins.keys),
      "it names another market, or other keys than were pinned at login",
    );
    return { says: `receipt of lease ${parsed.data.lease.slice(0, 12)} in ${pins.origin}`, value: parsed.data };
  });
  if (!receipt) return { ok: false, lines };
  const documents = check("signatures", () => openDocuments(crypto, receipt));
  if (!documents) return { ok: false, lines };
  check("log", () => checkLog(crypto, pins, receipt, own.witnesses ?? []));
  const bound = check("purchase order", () => checkBound(crypto, pins, receipt, documents, own));
  if (!bound) return { ok: false, lines };
  check("opening", () => checkOpening(pins, bound, documents));
  check("use", () => checkUse(pins, bound, documents, own));
  check("result", () => checkResult(bound, documents, own));
  check("bill", () => checkBill(pins, bound, documents));
  if (documents.one("verdict")) check("verdict", () => checkVerdict(crypto, pins, bound, documents, own));
  return { ok: lines.every(({ status }) => status !== "failed"), lines };
}

function openDocuments(crypto: Crypto, receipt: Receipt) {
  const opened = receipt.documents.map((stored): Opened => {
    const parsed = parseDocument(crypto, stored.envelope);
    must(parsed.ok, `the ${stored.kind.slice(0, 40)} document is not valid: ${parsed.ok ? "" : parsed.code}`);
    must(parsed.document.id === stored.id && parsed.document.kind === stored.kind, `the document ${stored.id.slice(0, 12)} is not what it is called`);
    must(!KIND_TABLE[parsed.document.kind].public || stored.salt === "", `the ${stored.kind} document is public and has no salt`);
    must(leafHashOf(crypto, parsed.document, stored.at, stored.salt) === stored.leaf, `the ${stored.kind} document does not open its commitment in the log`);
    return { at: stored.at, document: parsed.document };
  });
  must(new Set(receipt.documents.map(({ id }) => id)).size === receipt.documents.length, "a document stands twice in it");
  return { says: `${opened.length} documents, each signed by the key it names and unchanged`, value: new Documents(opened) };
}

function checkLog(crypto: Crypto, pins: MarketPins, receipt: Receipt, witnesses: readonly Witness[]) {
  const checkpoint = verifyCheckpoint(crypto, pins.keys.checkpoints, receipt.checkpoint);
  must(checkpoint, "the checkpoint is not signed by the broker's pinned log key");
  must(checkpoint.origin.startsWith(`${pins.origin}/log/`) && checkpoint.size === receipt.size, "the checkpoint is of another log or size");
  const root = fromHex(checkpoint.root)!;
  const included = (stored: ReceiptDocument): boolean =>
    stored.index !== null &&
    verifyInclusion(
      crypto,
      fromHex(stored.leaf)!,
      stored.index,
      checkpoint.size,
      stored.proof.map((hash) => fromHex(hash)!),
      root,
    );
  const waiting = receipt.documents.filter(({ index }) => index === null);
  for (const stored of receipt.documents)
    must(stored.index === null || included(stored), `the ${stored.kind} document's proof does not lead to the checkpoint's root`);
  const rest = waiting.length > 0 ? `; ${waiting.length} not in the log yet` : "";
  const signed = witnesses.filter((witness) => cosignatureOf(crypto, witness, receipt.checkpoint) !== null).length;
  const proved = witnesses.length > 0 && signed >= quorumOf(witnesses.length) && waiting.length === 0;
  const by = witnesses.length === 0 ? "no witness is pinned here" : `${signed} of ${witnesses.length} pinned witnesses cosigned this checkpoint`;
  return {
    status: proved ? ("proved" as const) : ("claimed" as const),
    says: `${receipt.documents.length - waiting.length} of ${receipt.documents.length} documents are in the log of ${checkpoint.size} leaves${rest}; ${by}`,
  };
}

type Bound = Extract<CheckedPurchaseOrder, { ok: true }>;

function checkBound(crypto: Crypto, pins: MarketPins, receipt: Receipt, documents: Documents, own: OwnFacts) {
  const po = documents.one("purchase-order");
  must(po && po.document.id === receipt.lease, "it does not hold its own purchase order");
  const checked = checkPurchaseOrder(crypto, pins, po.document.envelope);
  must(checked.ok, checked.ok ? "" : checked.why);
  must(own.customerKey === undefined || checked.order.keyid === own.customerKey, "the order was signed by another key than yours");
  const { holdNanos, terms } = checked.po.payload;
  return { says: `binds your order to the server's offer at its price; ${formatMoney(BigInt(holdNanos))} held, terms ${terms}`, value: checked };
}

function checkOpening(pins: MarketPins, { po }: Bound, documents: Documents) {
  const acceptance = documents.one("acceptance");
  const opening = documents.one("opening");
  if (!opening) return { status: "claimed" as const, says: "the lease was never opened" };
  must(acceptance?.document.keyid === po.payload.serverKey && acceptance.document.payload.lease === po.id, "the acceptance is not the server's");
  must(
    opening.document.keyid === pins.keys.purchaseOrders &&
      opening.document.payload.lease === po.id &&
      opening.document.payload.acceptance === acceptance.document.id,
    "the opening is not the broker's answer to the acceptance",
  );
  must(acceptance.at <= po.payload.acceptBy, "the acceptance came after its deadline");
  return { says: "the server accepted in time and the broker opened the lease" };
}

function checkUse(pins: MarketPins, { po }: Bound, documents: Documents, own: OwnFacts) {
  const opening = documents.one("opening");
  const claims = documents.of("claim").sort((a, b) => a.document.payload.sequence - b.document.payload.sequence);
  const receipts = documents.of("claim-receipt");
  let last: ClaimPosition = { id: opening?.document.id ?? po.id, incarnation: 1, sequence: 0, usedMs: 0, egressBytes: 0 };
  for (const { at, document } of claims) {
    must(document.keyid === po.payload.serverKey && document.payload.lease === po.id, "a claim is not the server's");
    const claim = { ...document.payload, id: document.id };
    const wrong = checkClaim(last, claim, at - (opening?.document.payload.at ?? at));
    must(wrong === null, `claim ${claim.sequence} breaks the chain (${wrong})`);
    must(
      receipts.some(({ document: receipt }) => receipt.keyid === pins.keys.receipts && receipt.payload.claim === document.id),
      `claim ${claim.sequence} has no receipt of the broker`,
    );
    last = claim;
  }
  const result = documents.one("result");
  if (meteringOf(po.payload.terms) === "fuel") {
    const right =
      own.reExecuted !== undefined &&
      result !== null &&
      result.document.payload.memoryHash !== null &&
      resultProblem(result.document.payload, own.reExecuted) === null;
    return {
      status: right ? ("proved" as const) : ("claimed" as const),
      says: `${result?.document.payload.fuel ?? 0} fuel by the server's result${right ? ", and by running it again" : "; anyone with the job can recompute it"}`,
    };
  }
  const usedMs = result?.document.payload.usedMs ?? last.usedMs;
  return {
    status: "claimed" as const,
    says: `${usedMs} ms used by the server's ${claims.length > 0 ? `${claims.length} chained claims and ` : ""}${result ? "result" : "word"}; the bill cannot exceed the time between opening and end`,
  };
}

function checkResult({ po, order }: Bound, documents: Documents, own: OwnFacts) {
  const result = documents.one("result");
  if (!result) return { status: "claimed" as const, says: "no result was handed in" };
  const { payload, keyid } = result.document;
  must(keyid === po.payload.serverKey && payload.lease === po.id, "the result is not signed by the server");
  must(payload.jobHash === order.payload.jobHash, "the result is of another job");
  const commitment = documents.one("commitment")?.document;
  must(
    !commitment || (commitment.keyid === keyid && commitment.payload.result === result.document.id) || !isComparable(payload),
    "the result is not the one that the server had committed to",
  );
  must(own.outputDigest === undefined || own.outputDigest === payload.outputDigest, "what was received is not what the server signed");
  const ending = payload.exitCode === null ? payload.reason : `exit code ${payload.exitCode}`;
  if (own.reExecuted && wasRun(payload)) {
    const wrong = resultProblem(payload, own.reExecuted);
    must(wrong === null, wrong ?? "");
    const compared = payload.memoryHash === null ? "the output up to where it was stopped" : `output, ${payload.fuel} fuel and memory`;
    return { says: `${ending}: running the same job again gave the same: ${compared}` };
  }
  return {
    status: "claimed" as const,
    says: `the server signed ${ending} for exactly this job; under '${order.payload.assurance}' its correctness is the owner's word`,
  };
}

function checkBill(pins: MarketPins, { po }: Bound, documents: Documents) {
  const settlement = documents.one("settlement");
  const closing = documents.one("closing");
  if (!settlement) return { status: "claimed" as const, says: "the lease is not settled yet" };
  must(
    closing && closing.document.keyid === pins.keys.receipts && settlement.document.keyid === pins.keys.receipts,
    "closing or settlement is not signed by the broker",
  );
  must(
    settlement.document.payload.closing === closing.document.id && settlement.document.payload.lease === po.id && closing.document.payload.lease === po.id,
    "the settlement is of another lease or closing",
  );
  const opening = documents.one("opening");
  const result = documents.one("result");
  const claims = documents.of("claim").map(({ document }) => document.payload);
  const amendments = documents.of("amendment").sort((a, b) => a.at - b.at);
  const stop = documents.of("stop").sort((a, b) => a.at - b.at)[0];
  must((settlement.document.payload.result ?? null) === (result?.document.id ?? null), "the settlement names another result");
  const bill = computeBill({
    po: po.payload,
    amendment: amendments.at(-1)?.document.payload ?? null,
    reason: closing.document.payload.reason,
    openedAt: opening?.document.payload.at ?? null,
    endedAt: stop?.at ?? closing.document.payload.at,
    claimedMs: result?.document.payload.usedMs ?? Math.max(0, ...claims.map(({ usedMs }) => usedMs)),
    claimedFuel: BigInt(result?.document.payload.fuel ?? 0),
    claimedEgressBytes: BigInt(result?.document.payload.egressBytes ?? Math.max(0, ...claims.map(({ egressBytes }) => egressBytes))),
  });
  const wrong = settlementProblem(bill, settlement.document.payload);
  must(wrong === null, `the settlement is wrong: ${wrong}`);
  return {
    says: `${formatMoney(bill.dueNanos)} for ${meteringOf(po.payload.terms) === "fuel" ? `${bill.billableFuel} fuel` : `${bill.billableMs} ms`}, ${formatMoney(bill.refundNanos)} back, recomputed; ended: ${bill.reason}, blame: ${bill.blame}`,
  };
}

/** That two servers signed different results for the same job is proved by their signatures; which of them is right, by running it again. */
function checkVerdict(crypto: Crypto, pins: MarketPins, { po }: Bound, documents: Documents, own: OwnFacts) {
  const verdict = documents.one("verdict")!.document;
  const { payload } = verdict;
  must(verdict.keyid === pins.keys.receipts && payload.lease === po.id, "the verdict is not the broker's, or of another lease");
  const accused = documents.one("result")?.document;
  const [stated, ruling] = [parseDocumentOf(crypto, "result", payload.result), parseDocumentOf(crypto, "result", payload.ruling)];
  must(stated.ok && ruling.ok, "the verdict does not hold two signed results");
  must(accused && stated.document.id === accused.id, "the verdict judges another result than this lease's");
  must(serverIdOf(crypto, ruling.document.keyid) === payload.referee && payload.referee !== payload.server, "the ruling is not signed by the referee it names");
  const trace = payload.trace === null ? null : parseDocumentOf(crypto, "trace", payload.trace);
  must(
    trace === null || (trace.ok && trace.document.keyid === accused.keyid && trace.document.payload.lease === po.id),
    "the trace in the verdict is not signed by the server for this lease",
  );
  const part = payload.segment === null ? null : { trace: trace?.ok ? trace.document.payload : null, segment: payload.segment };
  const judgement = judge(crypto, accused.payload, ruling.document.payload, part);
  must(judgement.ok, judgement.ok ? "" : judgement.why);
  const { difference } = judgement;
  must(difference !== null && difference === payload.why, "the two results do not differ as the verdict says");
  const settlement = documents.one("settlement")?.document.payload;
  must(settlement && BigInt(payload.refundNanos) === BigInt(settlement.ownerNanos) + BigInt(settlement.feeNanos), "the refund is not what was paid");
  must(payload.slashedNanos === po.payload.stakeNanos, "the stake that was taken is not the one that was locked");
  const effect = `${formatMoney(BigInt(payload.refundNanos))} came back, ${formatMoney(BigInt(payload.slashedNanos))} of stake was taken`;
  if (!own.reExecuted) return { status: "claimed" as const, says: `${difference}; the referee's word until you run it again; ${effect}` };
  if (part) {
    const right = own.reExecuted.rootAt?.(part.segment) ?? null;
    if (right === null) return { status: "claimed" as const, says: `${difference}; the referee's word until you run that segment again; ${effect}` };
    must(right === ruling.document.payload.stateRoot, `the referee itself is wrong: running it again gives state ${right.slice(0, 12)}…`);
  } else {
    const wrong = resultProblem(ruling.document.payload, own.reExecuted);
    must(wrong === null, `the referee itself is wrong: ${wrong}`);
  }
  return { says: `${difference}: running it again agrees with the referee; ${effect}` };
}
