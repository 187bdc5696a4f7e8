/**
 * `xeno evidence`: looks in checkpoints, receipts and documents for what contradicts itself, and in the broker's log for promises that
 * were not kept, and packs it into one file that convicts whoever signed it. Who controls the inputs: whoever handed over the files; the
 * broker (its log).
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import {
  API,
  leafHash,
  toBase64,
  toHex,
  verifyCheckpoint,
  zEnvelope,
  zPromise,
  zReceipt,
  type Envelope,
  type Evidence,
  type Promised,
} from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { findContradiction, packBrokenPromise, packContradiction, packFork } from "@xenoservers/verify";
import { currentContext, promisesFile, writePrivate } from "../input/home.ts";
import type { EvidenceInput } from "../input/verbs/proof.ts";
import { UserError, print, say } from "../output/ui.ts";

interface Found {
  notes: string[];
  documents: Envelope[];
}

/** A checkpoint's note as it stands, a receipt, or one document. */
async function readFound(file: string): Promise<Found> {
  const text = await readFile(file, "utf8").catch(() => {
    throw new UserError(`there is no file ${file}`);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { notes: [text], documents: [] };
  }
  const [receipt, envelope] = [zReceipt.safeParse(value), zEnvelope.safeParse(value)];
  if (receipt.success)
    return {
      notes: [receipt.data.checkpoint],
      documents: [...receipt.data.documents, ...receipt.data.leaves].map((each) => each.envelope),
    };
  return { notes: [], documents: envelope.success ? [envelope.data] : [] };
}

function contradictionsIn(key: string, { notes, documents }: Found): Evidence | null {
  for (const [i, first] of notes.entries())
    for (const second of notes.slice(i + 1)) {
      const fork = packFork(nodeCrypto, key, first, second);
      if (fork) return fork;
    }
  const pair = findContradiction(nodeCrypto, documents);
  return pair && packContradiction(...pair);
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
    const bundle = Buffer.from(await (await fetch(new URL(tile, url))).arrayBuffer());
    for (let at = 0; at + LENGTH_BYTES <= bundle.length;) {
      const end = at + LENGTH_BYTES + bundle.readUInt16BE(at);
      leaves.push(bundle.subarray(at + LENGTH_BYTES, end));
      at = end;
    }
  }
  return leaves;
}

async function keptPromises(): Promise<Promised[]> {
  const text = await readFile(promisesFile(), "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    if (line === "") return [];
    const parsed = zPromise.safeParse(JSON.parse(line));
    return parsed.success ? [parsed.data] : [];
  });
}

/** Looks up every promise of this market in its log; null when all that ran out were kept. */
async function brokenPromises(url: string, origin: string, key: string): Promise<Evidence | null> {
  const note = await (await fetch(new URL(API.checkpoint.path, url))).text();
  const checkpoint = verifyCheckpoint(nodeCrypto, key, note);
  if (!checkpoint) throw new UserError("the broker serves a checkpoint that its log key did not sign");
  const promises = (await keptPromises()).filter((promise) => promise.origin === origin);
  const leaves = await leavesOf(url, checkpoint.size);
  const logged = new Set(leaves.map((leaf) => toHex(leafHash(nodeCrypto, leaf))));
  const missing = promises.filter(({ leaf, mergeBy }) => !logged.has(leaf) && mergeBy < Date.now());
  say(`${promises.length} promises kept here, ${missing.length} of them run out and not in the log of ${checkpoint.size} leaves`);
  for (const promise of promises) {
    const evidence = packBrokenPromise(nodeCrypto, key, promise, note, leaves, toBase64);
    if (evidence) return evidence;
  }
  if (missing.length > 0) say("nothing that was accepted later is in the log yet: look again when it has grown");
  return null;
}

const NOTHING = "these do not contradict each other: they are of different logs, leases or sizes, agree, or are not signed by one key";

export async function evidence({ files, out, promises }: EvidenceInput): Promise<void> {
  const { context } = await currentContext();
  const { checkpoints } = context.pins.keys;
  if (files.length === 0 && !promises) throw new UserError("name the files to look in, or --promises");
  const all = await Promise.all(files.map(readFound));
  const found: Found = { notes: all.flatMap(({ notes }) => notes), documents: all.flatMap(({ documents }) => documents) };
  const packed =
    contradictionsIn(checkpoints, found) ?? (promises ? await brokenPromises(context.url, context.pins.origin, checkpoints) : null);
  if (!packed && files.length === 0) return say("no promise can be shown broken");
  if (!packed) throw new UserError(promises ? `${NOTHING}; nor can a promise be shown broken` : NOTHING);
  await writePrivate(path.resolve(out), JSON.stringify(packed, null, 1));
  print(`${out} convicts whoever signed it: anyone can check it with xeno verify ${out}`);
}
