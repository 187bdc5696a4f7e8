/**
 * Moves leases that are long over to the archive: each as a receipt that verifies by itself, before its documents leave the database. One
 * that does not stays where it is.
 */
import { KIND_TABLE, type MarketPins, type Receipt } from "@xenoservers/protocol";
import { StreamedReceipt } from "@xenoservers/verify";
import { setImmediate as otherWork } from "node:timers/promises";
import type { Services } from "../desk/round.ts";
import type { Receipts } from "../http/receipts.ts";
import type { ArchiveFolder } from "./archive-folder.ts";

interface Archiving {
  services: Services;
  receipts: Receipts;
  folder: ArchiveFolder;
  /** How long a lease stays where it is after the last that was said of it. */
  afterMs: number;
  /** Leases that were looked at before and are too long for the archive: they are not looked at again. */
  long: Set<string>;
}

const PART = 20;
/** A receipt stands in one line of the archive: 60 MB of it, more than a day of claims. */
const DOCUMENTS_MAX = 20_000;
/** So many documents are checked before a broker turns to what else it is asked. */
const CHECKED_AT_ONCE = 50;

/** Moves some; returns how many. Throws, after the others, where one cannot be moved. */
export async function archiveOver({ services, receipts, folder, afterMs, long }: Archiving): Promise<number> {
  const { store, crypto, market } = services;
  const ids = (await store.toArchive(services.now() - afterMs, PART + long.size)).filter((id) => !long.has(id));
  const problems: string[] = [];
  let moved = 0;
  for (const [id, { data: lease }] of await store.load("lease", ids)) {
    const receipt = await receipts.of(lease, DOCUMENTS_MAX);
    if (receipt === null) {
      long.add(id);
      continue;
    }
    const problem = await problemOf(receipt, market, crypto);
    if (problem !== null) problems.push(`lease ${id} stays in the database: ${problem}`);
    else {
      const held = new Set(receipt.documents.map((document) => document.id));
      const own = (await store.documentsOf(id)).filter((document) => held.has(document.id) && !KIND_TABLE[document.kind].public);
      const place = await folder.append(receipt, services.now());
      const moves = own.map((document) => document.id);
      if (await store.archive(id, place, moves)) moved++;
    }
  }
  if (problems.length > 0) throw new Error(problems.join("; "));
  return moved;
}

/** Why a receipt is not worth keeping in place of its documents; null: it is. */
async function problemOf({ documents, ...head }: Receipt, market: MarketPins, crypto: Services["crypto"]): Promise<string | null> {
  if (documents.some(({ index }) => index === null)) return "a document of it is not in the log yet";
  const reading = new StreamedReceipt(crypto, market, head);
  for (const [i, document] of documents.entries()) {
    if (i % CHECKED_AT_ONCE === 0) await otherWork();
    if (!reading.hear(document)) break;
  }
  const { lines } = reading.said();
  const failed = lines.find(({ status }) => status === "failed");
  return failed ? `${failed.check}: ${failed.says}` : null;
}
