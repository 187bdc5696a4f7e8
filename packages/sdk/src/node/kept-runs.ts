/**
 * What small jobs came to, kept on this machine by the digest of their work, to be taken again (`reuse`). Beside images and jobs it is kept
 * to save time only, within the same bound. Who controls the inputs: this machine's disk.
 */
import path from "node:path";
import { mkdir } from "node:fs/promises";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";
import type { KeptRuns } from "../facade/kept-run.ts";
import { home } from "./home.ts";
import { keptDocuments } from "./kept-documents.ts";
import { receiptHere } from "./kept-receipt.ts";
import { touchKept } from "./kept-room.ts";

const fileOf = (digest: string): string => path.join(home.data, "runs", `${digest}.json`);

/** Where there is no room for it nothing is lost but the time of another run. */
async function keep(digest: string, text: string): Promise<void> {
  try {
    await mkdir(path.dirname(fileOf(digest)), { recursive: true, mode: 0o700 });
    await writeWhole(fileOf(digest), text);
  } catch {}
}

async function read(digest: string): Promise<string | null> {
  const text = await readIfThere(fileOf(digest));
  if (text !== null) await touchKept(fileOf(digest));
  return text;
}

export const keptRuns: KeptRuns = {
  ...{ keep, read, receipt: receiptHere },
  signedAbout: async (lease, origin) => (await keptDocuments(home.data, origin, lease)).map(({ id }) => id),
};
