/**
 * `xeno evidence`: looks in checkpoints, receipts and documents for what contradicts itself, and in the broker's log for promises that
 * were not kept, and packs it into one file that convicts whoever signed it. Who controls the inputs: whoever handed over the files; the
 * broker (its log).
 */
import { lstat } from "node:fs/promises";
import path from "node:path";
import {
  API,
  GRANTING,
  leafHash,
  toBase64,
  payloadType,
  toHex,
  verifyCheckpoint,
  zEnvelope,
  zReceipt,
  zReceiptDocument,
  type Envelope,
  type Evidence,
  type Place,
  type ReceiptDocument,
} from "@xenoservers/protocol";
import { readIfThere, systemCode, writeNew } from "@xenoservers/protocol/files";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { ReceiptFile, currentContext, fetchFrom, home, isLongReceipt, keptPromises, marketHistory } from "@xenoservers/sdk";
import { packBrokenPromise, packContradiction, packFork, packLoss, type Packing } from "@xenoservers/verify";
import type { EvidenceInput } from "../input/verbs/proof.ts";
import { print, say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

/** A document, and where it stands in the broker's log, as far as that was found. */
interface FoundDocument {
  envelope: Envelope;
  place: Place | null;
}
interface Found {
  notes: string[];
  documents: FoundDocument[];
}

const placed = (checkpoint: string, { envelope, at, salt, index, proof }: ReceiptDocument): FoundDocument => ({
  envelope,
  place: index === null ? null : { checkpoint, at, salt, index, proof },
});

/** Of a receipt in parts: each of its claims would be compared with every other, of half a million. */
async function readLong(file: string): Promise<Found> {
  const receipt = await ReceiptFile.open(file);
  const checkpoint = zReceipt.shape.checkpoint.parse(Reflect.get(receipt.head, "checkpoint"));
  const documents: FoundDocument[] = [];
  for await (const read of receipt.documents()) {
    const document = zReceiptDocument.parse(read);
    if (document.kind !== "claim" && document.kind !== "claim-receipt") documents.push(placed(checkpoint, document));
  }
  say(`the claims in ${file} are not compared: they are too many`);
  const leaves = (await receipt.end())?.leaves ?? [];
  return { notes: [checkpoint], documents: [...documents, ...leaves.map((leaf) => placed(checkpoint, leaf))] };
}

/** A checkpoint's note as it stands, a receipt, or one document. */
async function readFound(file: string): Promise<Found> {
  if (await isLongReceipt(file))
    return readLong(file).catch((cause: unknown) => {
      throw new UserError(`${file} is no whole receipt: ${cause instanceof Error ? cause.message : ""}`);
    });
  const text = await readIfThere(file);
  if (text === null) throw new UserError(`there is no file ${file}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { notes: [text], documents: [] };
  }
  const [receipt, envelope] = [zReceipt.safeParse(value), zEnvelope.safeParse(value)];
  if (receipt.success) {
    const { checkpoint, documents, leaves } = receipt.data;
    return { notes: [checkpoint], documents: [...documents, ...leaves].map((document) => placed(checkpoint, document)) };
  }
  return { notes: [], documents: envelope.success ? [{ envelope: envelope.data, place: null }] : [] };
}

/** All pairs, each once. */
function* pairsOf<T>(all: readonly T[]): Generator<[T, T]> {
  for (const [i, first] of all.entries()) for (const second of all.slice(i + 1)) yield [first, second];
}

function forkIn(packing: Packing, notes: readonly string[]): Evidence | null {
  for (const [first, second] of pairsOf(notes)) {
    const fork = packFork(packing, first, second);
    if (fork) return fork;
  }
  for (const note of notes)
    for (const { envelope } of packing.history.epochs) {
      const fork = packFork(packing, note, envelope);
      if (fork) return fork;
    }
  return null;
}

function contradictionsIn(packing: Packing, documents: readonly FoundDocument[]): Evidence | null {
  const kindOf = ({ envelope }: FoundDocument): string => envelope.payloadType;
  const grants = documents.filter((each) => GRANTING.some((kind) => payloadType(kind) === kindOf(each))).map(({ envelope }) => envelope);
  const unique = [...new Map(grants.map((grant) => [grant.payload, grant])).values()];
  for (const [first, second] of pairsOf(documents)) {
    if (kindOf(first) !== kindOf(second) || first.envelope.payload === second.envelope.payload) continue;
    for (const place of [null, first.place, second.place]) {
      const packed = packContradiction(packing, [first.envelope, second.envelope], unique, place);
      if (packed) return packed;
    }
  }
  return null;
}

/** What of these checkpoints the broker has lost in a restore since. */
function lossIn(packing: Packing, notes: readonly string[]): Evidence | null {
  for (const note of notes)
    for (const { envelope } of packing.history.epochs.toReversed()) {
      const loss = packLoss(packing, note, envelope);
      if (loss) return loss;
    }
  return null;
}

const BUNDLE = 256;
const LENGTH_BYTES = 2;

/** C2SP tlog-tiles: three digits a folder, all but the last marked. */
function bundlePath(index: number, width: number): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, "0");
  const name = padded.replaceAll(/(\d{3})(?=\d)/g, "x$1/");
  return API.tile.path.replace(":level", "entries").replace("*", width === BUNDLE ? name : `${name}.p/${width}`);
}

/** Every leaf of the log of this size, as the broker serves them. */
async function leavesOf(url: string, size: number): Promise<Uint8Array[]> {
  const leaves: Uint8Array[] = [];
  for (let from = 0; from < size; from += BUNDLE) {
    const tile = bundlePath(from / BUNDLE, Math.min(BUNDLE, size - from));
    const bundle = Buffer.from(await (await fetchFrom(url, tile)).arrayBuffer());
    for (let at = 0; at + LENGTH_BYTES <= bundle.length;) {
      const end = at + LENGTH_BYTES + bundle.readUInt16BE(at);
      leaves.push(bundle.subarray(at + LENGTH_BYTES, end));
      at = end;
    }
  }
  return leaves;
}

/** Looks up every promise of this market in its log; null when all that ran out were kept. */
async function brokenPromises(url: string, packing: Packing): Promise<Evidence | null> {
  const { origin, keys } = packing.market;
  const note = await (await fetchFrom(url, API.checkpoint.path)).text();
  const checkpoint = verifyCheckpoint(nodeCrypto, keys.checkpoints, note);
  if (!checkpoint) throw new UserError("the broker serves a checkpoint that its log key did not sign");
  const promises = (await keptPromises(home.data)).filter((promise) => promise.origin === origin);
  const leaves = await leavesOf(url, checkpoint.size);
  const logged = new Set(leaves.map((leaf) => toHex(leafHash(nodeCrypto, leaf))));
  const missing = promises.filter(({ leaf, mergeBy }) => !logged.has(leaf) && mergeBy < Date.now());
  say(`${promises.length} promises kept here, ${missing.length} of them run out and not in the log of ${checkpoint.size} leaves`);
  for (const promise of promises) {
    const evidence = packBrokenPromise(packing, promise, note, leaves, toBase64);
    if (evidence) return evidence;
  }
  if (missing.length > 0) say("nothing that was accepted later is in the log yet: look again when it has grown");
  return null;
}

const NOTHING = "these do not contradict each other: they are of different logs, leases or sizes, agree, or are not signed by one key";

const isThere = (file: string): UserError =>
  new UserError(`${file} is there already, and may be what convicts somebody: name another file by --out, or remove it`);

export async function evidence({ files, out, promises }: EvidenceInput): Promise<void> {
  const { context } = await currentContext();
  const { url, pins: market } = context;
  if (files.length === 0 && !promises) throw new UserError("name the files to look in, or --promises");
  if ((await lstat(out).catch(() => null)) !== null) throw isThere(out);
  const all = await Promise.all(files.map(readFound));
  const [notes, documents] = [all.flatMap((each) => each.notes), all.flatMap((each) => each.documents)];
  const packing: Packing = { crypto: nodeCrypto, market, history: await marketHistory(url, market.origin) };
  const packed =
    forkIn(packing, notes) ??
    contradictionsIn(packing, documents) ??
    (promises ? await brokenPromises(url, packing) : null) ??
    lossIn(packing, notes);
  if (!packed && files.length === 0) return say("no promise can be shown broken");
  if (!packed) throw new UserError(promises ? `${NOTHING}; nor can a promise be shown broken` : NOTHING);
  await writeNew(path.resolve(out), JSON.stringify(packed, null, 1)).catch((error: unknown) => {
    throw systemCode(error) === "EEXIST" ? isThere(out) : error;
  });
  print(`${out} shows it: whoever knows this market, or its operator's key, can check it with xeno verify ${out} [--operator KEY]`);
  say(`the operator's key is ${market.operatorKey}`);
}
