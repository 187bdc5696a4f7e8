/** Receipts that are saved here, or fetched to be. Who controls the inputs: whoever handed over a file; the broker. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { cosignatureOf, zReceipt, type Receipt, type Witness } from "@xenoservers/protocol";
import { namesIn, readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { MarketClient } from "../client.ts";
import { InputError, KeptError } from "../errors.ts";
import { fetchReceipt, isLogged } from "../receipt.ts";
import { LEASE_ID, shortId } from "../words.ts";
import { home } from "./home.ts";
import { keptDocuments, missingIn } from "./kept-documents.ts";

const jsonOf = (text: string, file: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    throw new InputError(`${file} is no receipt: it is not JSON`);
  }
};

/** Settled, in the log, and cosigned by all of these. */
const isComplete = (receipt: Receipt): boolean => isLogged(receipt) && receipt.documents.some(({ kind }) => kind === "settlement");
const isWitnessed = ({ checkpoint }: Receipt, witnesses: readonly Witness[]): boolean =>
  witnesses.every((witness) => cosignatureOf(nodeCrypto, witness, checkpoint) !== null);

/** It lacks nothing that its customer sent since, or that the broker left out of it. */
const isWhole = async (receipt: Receipt): Promise<boolean> =>
  missingIn(receipt, await keptDocuments(home.data, receipt.market.origin, receipt.lease)).length === 0;

/** Throws KeptError where another lease's receipt came than was asked for: it might hold, and would say nothing of the one asked for. */
function assertAsked(lease: string, asked: string, where: string): void {
  if (!lease.startsWith(asked)) throw new KeptError(`${where} is of lease ${shortId(lease)}, not of ${shortId(asked)}`);
}

const fileOf = (lease: string): string => path.join(home.receipts, `${lease}.json`);

/** Of one that was fetched. */
export const keepReceiptHere = (receipt: Receipt): Promise<void> => writeWhole(fileOf(receipt.lease), JSON.stringify(receipt));

/** Fetched and kept; gives the file. */
export async function keepReceipt(client: MarketClient, lease: string, withinMs?: number): Promise<string> {
  await keepReceiptHere(await fetchReceipt(client, lease, withinMs));
  return fileOf(lease);
}

/** By file, or by lease: saved here, or fetched. */
export async function readReceipt(
  leaseOrFile: string,
  witnesses: readonly Witness[],
  openClient: () => Promise<MarketClient>,
): Promise<{ receipt: unknown; file: string }> {
  // a folder may have a lease's name: what came of it was brought there
  const fromFile = await readIfThere(leaseOrFile).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EISDIR") throw error;
    if (!LEASE_ID.test(leaseOrFile)) throw new InputError(`${leaseOrFile} is a folder: name a receipt's file, or a lease`);
    return null;
  });
  if (fromFile !== null) return { receipt: jsonOf(fromFile, leaseOrFile), file: leaseOrFile };
  if (!LEASE_ID.test(leaseOrFile)) throw new InputError(`there is no file ${leaseOrFile}, and it is no lease id`);
  const saved = (await namesIn(home.receipts)).filter((name) => name.startsWith(leaseOrFile) && name.endsWith(".json"));
  const [name, ...others] = saved;
  if (others.length > 0) throw new InputError(`${leaseOrFile} fits more than one saved receipt; write more of its id`);
  if (name !== undefined) {
    const file = path.join(home.receipts, name);
    const receipt = zReceipt.safeParse(jsonOf(await readFile(file, "utf8"), file)).data;
    if (receipt) assertAsked(receipt.lease, name.slice(0, -".json".length), file);
    if (receipt && isComplete(receipt)) {
      const isCurrent = isWitnessed(receipt, witnesses) && (await isWhole(receipt));
      return { receipt: isCurrent ? receipt : ((await fetchedAgain(receipt.lease, openClient)) ?? receipt), file };
    }
  }
  const client = await openClient();
  const lease = await client.read("lease", { params: { id: leaseOrFile } });
  assertAsked(lease.id, leaseOrFile, "the broker's answer");
  const file = await keepReceipt(client, lease.id);
  return { receipt: jsonOf(await readFile(file, "utf8"), file), file };
}

/** The same receipt with what was signed since; null when the broker is not reached. */
async function fetchedAgain(lease: string, openClient: () => Promise<MarketClient>): Promise<unknown> {
  try {
    const client = await openClient();
    const file = await keepReceipt(client, lease, 0);
    return jsonOf(await readFile(file, "utf8"), file);
  } catch {
    return null;
  }
}
