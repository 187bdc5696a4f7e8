/**
 * A receipt of any length, verified as it is read: its head with the public leaves first, then its documents one by one, in the order of
 * the log. Says what `verifyReceipt` says of the same receipt in one piece. Who controls the input: whoever hands over the file, every
 * byte. Bounds: of claims none is held but those that are listed; other documents, and those that are not in the log, are few in any lease.
 */
import { zReceipt, zReceiptDocument, type Crypto, type MarketPins, type Receipt } from "@xenoservers/protocol";
import type { OwnFacts } from "./checking.ts";
import { jobIn, NO_JOB, type JobToRun } from "./job-to-run.ts";
import type { ReceiptVerification } from "./line.ts";
import { inLogOrder, isLater, openDocuments, openOne, type Entry } from "./opened.ts";
import { Reading, failedAt, fileLine, pinsProblem } from "./receipt.ts";
import { toldBy } from "./told.ts";

/** Of one lease: brokers take no more (market/lease/log-bounds). */
const OTHERS_MAX = 100_000;
/** A broker's log has what it promised within minutes. */
const WAITING_MAX = 10_000;

/** Of leaves, the next one last. */
const placeOfNext = (leaves: readonly Entry[]): number => leaves.findLast(({ index }) => index !== null)?.index ?? Infinity;

export class StreamedReceipt {
  readonly #crypto: Crypto;
  readonly #own: OwnFacts;
  #reading: Reading | null = null;
  #lease = "";
  /** What it comes to whatever else is heard; null: that is open. */
  #ended: ReceiptVerification | null = null;
  /** Not heard yet, in the log's order, the next one last. */
  #leaves: Entry[] = [];
  /** The place of the next one that has one: of half a million documents none looks through all leaves. */
  #nextPlaced = Infinity;
  /** Of all documents that are no claims: of those each is in the last one's chain. */
  #ids = new Set<string>();
  #count = 0;
  #index = -1;
  readonly #waiting: Entry[] = [];
  readonly #failIn: (why: string) => ReceiptVerification;

  /** `head`: the receipt without its documents. Of `own`, what is known before it is read; the rest may come with `said`. */
  constructor(crypto: Crypto, pins: MarketPins, head: object, own: OwnFacts = {}) {
    [this.#crypto, this.#own] = [crypto, own];
    this.#failIn = (why) => failedAt("signatures", why, [fileLine({ lease: this.#lease }, pins)]);
    const parsed = zReceipt.safeParse({ ...head, documents: [] });
    if (!parsed.success) this.#fail(`this is not a receipt: ${parsed.error.issues[0]?.path.join(".")}`);
    else this.#begin({ ...parsed.data, documents: [] }, pins);
  }

  #begin(receipt: Receipt, pins: MarketPins): void {
    this.#lease = receipt.lease;
    const elsewhere = pinsProblem(receipt, pins);
    if (elsewhere !== null) return this.#fail(elsewhere);
    const opened = openDocuments(this.#crypto, receipt);
    if (!opened.ok) return void (this.#ended = this.#failIn(opened.why));
    const leaves = inLogOrder(opened.entries);
    this.#ids = new Set(leaves.map(({ document }) => document.id));
    this.#reading = new Reading(this.#crypto, pins, toldBy(this.#crypto, pins, leaves), receipt, this.#own);
    this.#leaves = leaves.toReversed();
    this.#nextPlaced = placeOfNext(this.#leaves);
  }

  #fail(why: string): void {
    this.#ended ??= failedAt("file", why);
  }

  /** That is no whole receipt, whatever else it holds. */
  cut(why: string): void {
    this.#fail(why);
  }

  /** The next document. False: nothing that comes after it makes this a receipt that holds. */
  hear(untrusted: unknown): boolean {
    if (this.#ended || !this.#reading) return false;
    const parsed = zReceiptDocument.safeParse(untrusted);
    if (!parsed.success) this.#fail(`this is not a receipt: documents.${this.#count}`);
    else {
      const opened = openOne(this.#crypto, parsed.data, false);
      if (typeof opened === "string") this.#ended = this.#failIn(opened);
      else this.#hear(opened, this.#reading);
    }
    this.#count++;
    return this.#ended === null;
  }

  #hear(entry: Entry, reading: Reading): void {
    const { document, index } = entry;
    if (document.kind !== "claim" && document.kind !== "claim-receipt") {
      if (this.#ids.has(document.id)) return void (this.#ended = this.#failIn("a document stands twice in it"));
      if (this.#ids.add(document.id).size > OTHERS_MAX) return this.#fail(`of what is no claim it holds more than ${OTHERS_MAX} documents`);
    }
    if (index === null) {
      this.#waiting.push(entry);
      if (this.#waiting.length > WAITING_MAX) this.#fail(`more than ${WAITING_MAX} documents of it are not in the log`);
      return;
    }
    if (index < this.#index || this.#waiting.length > 0) return this.#fail("its documents do not stand in the order of the log");
    this.#index = index;
    for (const leaf of this.#leavesBefore(entry, index)) reading.hear(leaf);
    reading.hear(entry);
  }

  /** Those that the log has before it; what waits for its place stands before what its time would put after it. */
  *#leavesBefore(entry: Entry, index: number): Generator<Entry> {
    for (let leaf = this.#leaves.at(-1); leaf; leaf = this.#leaves.at(-1)) {
      if (this.#nextPlaced >= index && (leaf.index !== null || !isLater(entry, leaf))) return;
      this.#leaves.pop();
      if (leaf.index !== null) this.#nextPlaced = placeOfNext(this.#leaves);
      yield leaf;
    }
  }

  /** All of it was heard that there is. */
  #whole(): Reading | null {
    if (this.#ended || !this.#reading) return null;
    for (const entry of inLogOrder([...this.#leaves.splice(0).reverse(), ...this.#waiting.splice(0)])) this.#reading.hear(entry);
    return this.#reading;
  }

  /** Which job it is of, for whoever runs it again, once all of it was heard. */
  job(): JobToRun {
    const reading = this.#whole();
    return reading ? jobIn(reading.told, this.#lease) : NO_JOB;
  }

  /** What it comes to, once all of it was heard. */
  said(own: OwnFacts = {}): ReceiptVerification {
    const reading = this.#whole();
    return reading?.said({ ...this.#own, ...own }) ?? this.#ended ?? failedAt("file", "it was not read");
  }
}
