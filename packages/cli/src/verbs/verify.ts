/**
 * `xeno verify`: a receipt, an archive of them, evidence, or a purchase order that was kept, checked offline; each line proved, claimed or
 * failed.
 */
import { randomInt } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { zReceipt, type MarketPins, type Witness } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { isEvidence, verifyEvidence, verifyReceipt, type OwnRun, type Verification } from "@xenoservers/verify";
import {
  ContextError,
  InputError,
  ReceiptFile,
  assertFingerprint,
  currentContext,
  home,
  isArchive,
  isLongReceipt,
  keptDocuments,
  missingIn,
  rerun,
  shortId,
  verifyKept,
} from "@xenoservers/sdk";
import type { VerifyInput } from "../input/verbs/proof.ts";
import { say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";
import { showVerification } from "../output/verification.ts";
import { again } from "../proof/again.ts";
import { receiptHere } from "../proof/receipt-here.ts";
import { verifyArchive } from "../proof/verify-archive.ts";

/** Evidence holds a log's leaves. */
const FILE_BYTES_MAX = 512 * 1024 * 1024;

/** What a file holds; null where it is no JSON or there is none. Throws UserError where it is larger than anything that is checked here. */
async function jsonIn(file: string): Promise<unknown> {
  const size = (await stat(file).catch(() => null))?.size ?? 0;
  if (size > FILE_BYTES_MAX) throw new UserError(`${file} is larger than any receipt or evidence`, 1);
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    return value;
  } catch {
    return null;
  }
}

/** Flips one bit of one letter of the receipt, to show that it is noticed. */
function tampered(receipt: unknown): { receipt: unknown; says: string } {
  const bytes = Buffer.from(JSON.stringify(receipt));
  for (;;) {
    const at = randomInt(bytes.length);
    const changed = Buffer.from(bytes);
    changed.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    try {
      const result: unknown = JSON.parse(changed.toString("utf8"));
      if (isDeepStrictEqual(result, receipt)) continue;
      const letter = (of: Buffer): string => of.toString("latin1", at, at + 1);
      return { receipt: result, says: `byte ${at} changed from '${letter(bytes)}' to '${letter(changed)}'` };
    } catch {
      // no JSON any more: nothing to check in it
    }
  }
}

/** Null, with a word on stderr, where the receipt does not hold. */
async function reExecuteFor(pins: MarketPins, receipt: unknown): Promise<OwnRun | null> {
  const own = await rerun(pins, receipt, again).catch((error: unknown) => {
    throw error instanceof InputError && !(error instanceof UserError) ? new UserError(`${error.message}: leave out --re-execute`) : error;
  });
  if (own === null) say("nothing was run again, for the receipt does not hold");
  return own;
}

/** Of a long one: whatever is no claim, by its last line. */
async function idsIn(receipt: ReceiptFile): Promise<{ lease: string; documents: { id: string; at?: number }[] } | null> {
  const end = await receipt.end();
  return end && { lease: receipt.lease, documents: end.others.map((id) => ({ id })) };
}

/** What was signed on this machine about the receipt's lease, and in words what of it the receipt lacks. */
async function ownDocuments(untrusted: unknown, origin: string): Promise<{ documents: string[]; says: string[] }> {
  const receipt = untrusted instanceof ReceiptFile ? await idsIn(untrusted) : zReceipt.safeParse(untrusted).data;
  if (!receipt) return { documents: [], says: [] };
  const kept = await keptDocuments(home.data, origin, receipt.lease);
  const lastAt = receipt.documents.reduce((last, { at }) => Math.max(last, at ?? Infinity), 0);
  const says = missingIn(receipt, kept).map(({ id, kind, at }) => {
    const older = at > lastAt ? `; where this file is from before, \`xeno verify ${shortId(receipt.lease)}\` has a newer one` : "";
    return `it lacks your ${kind} ${shortId(id)}, which the broker took${older}`;
  });
  return { documents: kept.map(({ id }) => id), says };
}

/** Of a file that is no receipt, and needs no market to be checked; null where it is another. */
async function verifyFile(file: string, operatorKey: string | null): Promise<Verification | null> {
  if (await isLongReceipt(file)) return null;
  const value = await jsonIn(file);
  const known = await currentContext().catch(() => null); // it convicts on a machine that never saw the market, too
  if (isEvidence(value)) return verifyEvidence(nodeCrypto, value, operatorKey === null ? (known?.context.pins ?? null) : { operatorKey });
  return verifyKept(value, known?.context.pins ?? null);
}

interface Known {
  pins: MarketPins;
  /** Whose order it may be; null: nobody's here. */
  party: string | null;
  witnesses: readonly Witness[];
}

/** By what a receipt is checked: the market that one is logged in to, or the one of that fingerprint, whose keys the receipt holds. */
async function knownFor(fingerprint: string | null, leaseOrFile: string): Promise<Known> {
  if (fingerprint === null) {
    const { context } = await currentContext().catch(async (error: unknown) => {
      const isFile = (await stat(leaseOrFile).catch(() => null)) !== null;
      if (!isFile || !(error instanceof ContextError)) throw error;
      throw new UserError(`${error.message}, or give --fingerprint as the receipt's market published it`);
    });
    return { pins: context.pins, party: context.party, witnesses: context.witnesses ?? [] };
  }
  const isLong = await isLongReceipt(leaseOrFile);
  const market = isLong ? (await ReceiptFile.open(leaseOrFile)).market : zReceipt.safeParse(await jsonIn(leaseOrFile)).data?.market;
  if (!market) throw new UserError(`${leaseOrFile} is no receipt: --fingerprint is for a receipt's file`);
  assertFingerprint(fingerprint, market, "of the receipt's market", "it is of another market");
  return { pins: market, party: null, witnesses: [] };
}

/** Offline once the receipt is saved here. */
export async function verify({ leaseOrFile, json, reExecute, tamper, explain, operator, fingerprint }: VerifyInput): Promise<void> {
  const verified = isArchive(leaseOrFile) ? null : await verifyFile(leaseOrFile, operator ?? null);
  if (verified) return showVerification(verified, leaseOrFile, { json, explain });
  const { witnesses, pins, party } = await knownFor(fingerprint, leaseOrFile);
  if (isArchive(leaseOrFile)) return verifyArchive(leaseOrFile, pins, { json, witnesses });
  const { receipt: found, file } = await receiptHere(leaseOrFile, witnesses, json);
  if (tamper && found instanceof ReceiptFile) throw new UserError(`${file} is too long to be changed and held: leave out --tamper`);
  const { receipt, says } = tamper ? tampered(found) : { receipt: found, says: "" };
  const reExecuted = reExecute ? await reExecuteFor(pins, receipt) : null;
  const { documents, says: lacks } = await ownDocuments(receipt, pins.origin);
  const own = {
    ...(reExecuted ? { reExecuted } : {}),
    ...(witnesses.length > 0 ? { witnesses } : {}),
    ...(party === null ? {} : { party }),
    documents,
  };
  const verification = receipt instanceof ReceiptFile ? await receipt.verified(pins, own) : verifyReceipt(nodeCrypto, pins, receipt, own);
  for (const line of [says, ...lacks]) if (line !== "") say(line);
  showVerification(verification, file, { json, explain });
}
