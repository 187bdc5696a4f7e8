/** The job of an ended lease as its server still keeps it, read beside the daemon, which may be running: nothing is written here. */
import path from "node:path";
import { readIfThere } from "@xenoservers/protocol/files";
import { broughtBy, type MachineJob, type WasmJob } from "../drivers/work.ts";
import type { LeaseRecord } from "./journal.ts";

/** What its customer brought, and where its files are. */
type KeptWork = (WasmJob | MachineJob) & { blobFile(digest: string): string };

/** `folder`: the daemon's. Null where it keeps nothing of this lease, or no job. */
export async function readKeptWork(folder: string, lease: string): Promise<KeptWork | null> {
  const own = path.join(folder, "leases", lease);
  const text = await readIfThere(path.join(own, "lease.json"));
  if (text === null) return null;
  const { work } = JSON.parse(text) as Pick<LeaseRecord, "work">;
  if (!work) return null;
  return { ...broughtBy(work), blobFile: (digest) => path.join(own, "blobs", digest) };
}
