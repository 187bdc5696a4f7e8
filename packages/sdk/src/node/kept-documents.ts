/**
 * What this customer signed about its leases and the broker took, kept on this machine: a receipt that lacks one of them does not verify.
 * Who controls the inputs: the customer (the documents), the broker (when it took them, and which lease an order became), whoever writes
 * to the customer's own folder (what is read again).
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { parseDocument, zEnvelope, zTime, type Kind } from "@xenoservers/protocol";
import { nameBeside, namesIn } from "@xenoservers/protocol/files";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { Filed } from "../client.ts";
import { isDoubt } from "../doubt.ts";
import { leaseOfFiled } from "../filed-lease.ts";
import * as z from "zod/mini";

/**
 * Beyond these, and what came since it was looked, the oldest files go, but for doubts: without one of them, a result that was doubted
 * would be taken for a right one.
 */
const FILES_MAX = 4_096;
/** All names are looked through by a program's first document and each so-many-th after it: not for each of many jobs. */
const LOOKED_EVERY = 64;
/** Larger documents are not kept; those of a lease have a few thousand bytes. */
const FILE_BYTES_MAX = 64 * 1024;

/** How the name of a doubt's file ends. */
const DOUBT = ".doubt.json";

const zKept = z.strictObject({ at: zTime, envelope: zEnvelope });

interface KeptDocument {
  id: string;
  kind: Kind;
  /** When the broker took it, by its own clock. */
  at: number;
}

const folderIn = (data: string): string => path.join(data, "signed");

/** The oldest by this machine's clock: what the broker says of times decides over nothing here. */
function prune(folder: string): void {
  const names = readdirSync(folder).filter((name) => !name.endsWith(DOUBT));
  if (names.length <= FILES_MAX) return;
  const files = names.map((name) => path.join(folder, name));
  const aged = files.map((file) => ({ file, writtenAt: statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0 }));
  aged.sort((a, b) => a.writtenAt - b.writtenAt);
  for (const { file } of aged.slice(0, names.length - FILES_MAX)) rmSync(file, { force: true });
}

/** By folder, how many documents this program has kept there. */
const keptIn = new Map<string, number>();

function pruneNowAndThen(folder: string): void {
  const before = keptIn.get(folder) ?? 0;
  keptIn.set(folder, before + 1);
  if (before % LOOKED_EVERY === 0) prune(folder);
}

/** Each in a file of its own, so that programs at the same time do not disturb each other and a crash leaves no half of one. */
export function keepDocument(data: string, filed: Filed): void {
  const { document, at } = filed;
  const lease = leaseOfFiled(filed);
  const text = JSON.stringify({ at, envelope: document.envelope });
  if (lease === null || text.length > FILE_BYTES_MAX) return;
  const folder = folderIn(data);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, `${lease}.${document.id}${isDoubt(document.kind) ? DOUBT : ".json"}`);
  const part = nameBeside(file);
  writeFileSync(part, text, { mode: 0o600 });
  renameSync(part, file);
  pruneNowAndThen(folder);
}

function parseKept(text: string, origin: string): KeptDocument[] {
  try {
    const { at, envelope } = zKept.parse(JSON.parse(text));
    const parsed = parseDocument(nodeCrypto, envelope);
    if (!parsed.ok || parsed.document.payload.origin !== origin) return [];
    return [{ id: parsed.document.id, kind: parsed.document.kind, at }];
  } catch {
    return []; // what is damaged says nothing
  }
}

/** Those of one lease in the market of this origin, the oldest first. */
export async function keptDocuments(data: string, origin: string, lease: string): Promise<KeptDocument[]> {
  const folder = folderIn(data);
  const names = await namesIn(folder);
  const own = names.filter((name) => name.startsWith(`${lease}.`) && name.endsWith(".json"));
  const texts = await Promise.all(own.map((name) => readFile(path.join(folder, name), "utf8")));
  return texts.flatMap((text) => parseKept(text, origin)).sort((a, b) => a.at - b.at);
}

/** Those that the receipt does not show. */
export function missingIn({ documents }: { documents: readonly { id: string }[] }, kept: readonly KeptDocument[]): KeptDocument[] {
  const shown = new Set(documents.map(({ id }) => id));
  return kept.filter(({ id }) => !shown.has(id));
}
