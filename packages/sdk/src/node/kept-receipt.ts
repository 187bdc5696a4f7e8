/** Receipts that are saved here, or fetched to be. Who controls the inputs: whoever handed over a file; the broker. */
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { cosignatureOf, zReceipt, type Witness } from "@xenoservers/protocol";
import { namesIn, readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { MarketClient } from "../client.ts";
import { BrokenWordError, InputError, KeptError } from "../errors.ts";
import type { ReceiptWatching } from "../facade/long-receipt.ts";
import { isLogged, readDocuments } from "../receipt.ts";
import { LEASE_ID, shortId } from "../words.ts";
import { home } from "./home.ts";
import { keptDocuments } from "./kept-documents.ts";
import { ReceiptFile, isLongReceipt } from "./receipts/receipt-file.ts";
import { keepParts } from "./receipts/receipt-parts.ts";

/** A receipt, or a ReceiptFile where it is long; and where it lies. */
interface FoundReceipt {
  receipt: unknown;
  file: string;
}

const jsonOf = (text: string, file: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    throw new InputError(`${file} is no receipt: it is not JSON`);
  }
};

/** What a saved receipt says of itself, before it is verified. */
interface Saved {
  lease: string;
  origin: string;
  checkpoint: string;
  /** Settled, and in the log. */
  isComplete: boolean;
  /** Ids of its documents, of a long one of those that are no claims. */
  ids: readonly string[];
}

/** Null where it is none. */
async function savedIn({ receipt: found }: FoundReceipt): Promise<Saved | null> {
  if (found instanceof ReceiptFile) {
    const end = await found.end();
    const head = zReceipt.safeParse({ ...found.head, format: "xenoservers-receipt-1", documents: [], leaves: [] }).data;
    if (!end || !head) return null;
    const { lease, market, checkpoint } = head;
    return { lease, origin: market.origin, checkpoint, isComplete: end.isSettled && end.waiting === 0, ids: end.others };
  }
  const receipt = zReceipt.safeParse(found).data;
  if (!receipt) return null;
  const { lease, market, checkpoint, documents } = receipt;
  const isComplete = isLogged(receipt) && documents.some(({ kind }) => kind === "settlement");
  return { lease, origin: market.origin, checkpoint, isComplete, ids: documents.map(({ id }) => id) };
}

/** Cosigned by all of these, and it lacks nothing that its customer sent since, or that the broker left out of it. */
async function isCurrent({ lease, origin, checkpoint, ids }: Saved, witnesses: readonly Witness[]): Promise<boolean> {
  if (!witnesses.every((witness) => cosignatureOf(nodeCrypto, witness, checkpoint) !== null)) return false;
  const shown = new Set(ids);
  return (await keptDocuments(home.data, origin, lease)).every(({ id }) => shown.has(id));
}

/** Throws KeptError where another lease's receipt came than was asked for: it might hold, and would say nothing of the one asked for. */
function assertAsked(lease: string, asked: string, where: string): void {
  if (!lease.startsWith(asked)) throw new KeptError(`${where} is of lease ${shortId(lease)}, not of ${shortId(asked)}`);
}

const fileOf = (lease: string): string => path.join(home.receipts, `${lease}.json`);
const longFileOf = (lease: string): string => `${fileOf(lease)}l`;
const SAVED = /\.jsonl?$/;

const inFile = async (file: string): Promise<FoundReceipt> => ({
  receipt: (await isLongReceipt(file)) ? await ReceiptFile.open(file) : jsonOf(await readFile(file, "utf8"), file),
  file,
});

/** Fetched, once all of it is in the log or `withinMs` are over, and kept. Throws KeptError where there is no room for it. */
export async function keepReceipt(
  client: MarketClient,
  lease: string,
  withinMs = 5_000,
  watching: ReceiptWatching = {},
): Promise<FoundReceipt> {
  const receipt = await readDocuments(client, lease, withinMs);
  if (receipt.lease !== lease) throw new BrokenWordError("the broker's answer is the receipt of another lease");
  if (!receipt.hasMore) {
    await writeWhole(fileOf(lease), JSON.stringify(receipt));
    // of before the broker lost some of it: by the lease that one would be found
    await rm(longFileOf(lease), { force: true });
    return { receipt, file: fileOf(lease) };
  }
  await keepParts(client, lease, longFileOf(lease), { now: receipt, ...watching });
  // of when it was shorter
  await rm(fileOf(lease), { force: true });
  return inFile(longFileOf(lease));
}

/** Null where what was read is not what it should be. */
const unlessInput = <T>(read: Promise<T>): Promise<T | null> =>
  read.catch((error: unknown) => {
    if (error instanceof InputError) return null;
    throw error;
  });

/** As it lies here, in one piece; null where there is none, it is too long for that, or what lies here is none. */
export async function receiptHere(lease: string): Promise<unknown> {
  const long = longFileOf(lease);
  if (await isLongReceipt(long)) return (await unlessInput(ReceiptFile.open(long)))?.whole() ?? null;
  const text = await readIfThere(fileOf(lease));
  return text === null ? null : unlessInput((async () => jsonOf(text, fileOf(lease)))());
}

/** By file, or by lease: saved here, or fetched. */
export async function readReceipt(
  leaseOrFile: string,
  witnesses: readonly Witness[],
  openClient: () => Promise<MarketClient>,
  watching: ReceiptWatching = {},
): Promise<FoundReceipt> {
  if (await isLongReceipt(leaseOrFile)) return inFile(leaseOrFile);
  // a folder may have a lease's name: what came of it was brought there
  const fromFile = await readIfThere(leaseOrFile).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EISDIR") throw error;
    if (!LEASE_ID.test(leaseOrFile)) throw new InputError(`${leaseOrFile} is a folder: name a receipt's file, or a lease`);
    return null;
  });
  if (fromFile !== null) return { receipt: jsonOf(fromFile, leaseOrFile), file: leaseOrFile };
  if (!LEASE_ID.test(leaseOrFile)) throw new InputError(`there is no file ${leaseOrFile}, and it is no lease id`);
  const names = (await namesIn(home.receipts)).filter((name) => name.startsWith(leaseOrFile) && SAVED.test(name));
  const [name, ...others] = [...new Map(names.toSorted().map((each) => [each.replace(SAVED, ""), each])).values()];
  if (others.length > 0) throw new InputError(`${leaseOrFile} fits more than one saved receipt; write more of its id`);
  if (name !== undefined) {
    // what lies here and is none is fetched anew
    const found = await unlessInput(inFile(path.join(home.receipts, name)));
    const saved = found && (await savedIn(found));
    if (saved) assertAsked(saved.lease, name.replace(SAVED, ""), found.file);
    if (found && saved?.isComplete)
      return (await isCurrent(saved, witnesses)) ? found : ((await fetchedAgain(saved.lease, openClient, watching)) ?? found);
  }
  const client = await openClient();
  const lease = await client.read("lease", { params: { id: leaseOrFile } });
  assertAsked(lease.id, leaseOrFile, "the broker's answer");
  return keepReceipt(client, lease.id, undefined, watching);
}

/** The same receipt with what was signed since; null when the broker is not reached. */
async function fetchedAgain(
  lease: string,
  openClient: () => Promise<MarketClient>,
  watching: ReceiptWatching,
): Promise<FoundReceipt | null> {
  try {
    return await keepReceipt(await openClient(), lease, 0, watching);
  } catch {
    watching.signal?.throwIfAborted();
    return null;
  }
}
