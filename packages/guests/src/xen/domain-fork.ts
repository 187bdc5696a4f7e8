/**
 * A domain that goes on from where another was saved: under a name, a UUID and a disk of its own, and with bytes for its random numbers
 * that its siblings do not have. Who controls the inputs: the guest that was saved (memory and disk).
 */
import { readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { zVmSpec, type VmBoot, type VmSpec } from "@xenoservers/protocol";
import { writeOwn } from "../write-own.ts";
import { CONSOLE_LOG } from "./domain-console.ts";
import { STATE, copyDisk } from "./domain-save.ts";
import { BASE, SEED, held, isThere } from "./domain-disk.ts";
import type { Domain } from "./domain.ts";

/** A domain as it was saved. */
export interface SavedDomain {
  /** Of the domain that it was taken of. */
  spec: VmSpec;
  state: string;
  /** Null where it has none. */
  disk: string | null;
  /** Of the same domain, that ran at another host before: the file of what it printed there. It takes that and its disk for its own. */
  arrived?: { console: string };
}

const bootFile = (folder: string): string => path.join(folder, "saved-boot.json");

/** Files of its own, whatever becomes of the snapshot: also what it boots should it restart. `file`: its disk. */
export async function layOutSaved(
  { spec, state, disk, arrived }: SavedDomain,
  { folder, file, signal }: { folder: string; file: string; signal: AbortSignal | undefined },
): Promise<void> {
  await writeOwn(bootFile(folder), JSON.stringify(spec.vm));
  await held(state, path.join(folder, STATE));
  if (arrived) await rename(arrived.console, path.join(folder, CONSOLE_LOG));
  if (disk !== null) await (arrived ? rename(disk, file) : copyDisk(disk, file, signal));
  for (const name of [BASE, SEED]) {
    const kept = path.join(path.dirname(state), name);
    if (await isThere(kept)) await held(kept, path.join(folder, name));
  }
}

/** What a domain of an earlier daemon boots that went on from a snapshot. */
export const savedVm = async (folder: string): Promise<VmBoot> =>
  zVmSpec.shape.vm.parse(JSON.parse(await readFile(bootFile(folder), "utf8")));

/** Made, and paused where the other was saved. Throws, with nothing left of it, where Xen does not make it: no fault of its customer's. */
export async function restored(domain: Domain, { folder, signal }: { folder: string; signal: AbortSignal | undefined }): Promise<Domain> {
  const state = path.join(folder, STATE);
  await domain.make(signal, state);
  try {
    await domain.tellSeed();
  } catch (error) {
    await domain.unmake();
    throw error;
  }
  await rm(state, { force: true });
  return domain;
}
