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
import type { DomainSource } from "./domain-making.ts";
import type { Domain } from "./domain.ts";

/** A domain as it was saved. */
export interface SavedDomain {
  /** Of the domain that it was taken of. */
  spec: VmSpec;
  state: string;
  /** Null where it has none. */
  disk: string | null;
}

/** A domain that comes from another host, as the same one. */
export interface ComingDomain {
  spec: VmSpec;
  /** What nobody writes to is there before its state comes. */
  folder: string;
  state: AsyncIterable<Uint8Array>;
  /** Files that become its own, once all has come: of its disk, where it has one, and of what it printed. Rejects where all has not. */
  rest(): Promise<{ disk: string | null; console: string }>;
}

const bootFile = (folder: string): string => path.join(folder, "saved-boot.json");
const savedState = (folder: string): string => path.join(folder, STATE);

/** Files of its own, whatever becomes of the snapshot: also what it boots should it restart. `file`: its disk. */
export async function layOutSaved(
  from: SavedDomain | ComingDomain,
  { folder, file, signal }: { folder: string; file: string; signal: AbortSignal | undefined },
): Promise<void> {
  await writeOwn(bootFile(folder), JSON.stringify(from.spec.vm));
  if ("disk" in from) {
    await held(from.state, savedState(folder));
    if (from.disk !== null) await copyDisk(from.disk, file, signal);
  }
  const beside = "disk" in from ? path.dirname(from.state) : from.folder;
  for (const name of [BASE, SEED]) {
    const kept = path.join(beside, name);
    if (await isThere(kept)) await held(kept, path.join(folder, name));
  }
}

/** What a domain of an earlier daemon boots that went on from a snapshot. */
export const savedVm = async (folder: string): Promise<VmBoot> =>
  zVmSpec.shape.vm.parse(JSON.parse(await readFile(bootFile(folder), "utf8")));

/** What it is made of; `file`: its disk. */
function sourceOf(from: SavedDomain | ComingDomain, folder: string, file: string): DomainSource {
  if ("disk" in from) return { state: savedState(folder) };
  const rest = async (): Promise<void> => {
    const { disk, console } = await from.rest();
    if (disk !== null) await rename(disk, file);
    await rename(console, path.join(folder, CONSOLE_LOG));
  };
  return { state: from.state, rest };
}

/** Made, and paused where the other was saved. Throws, with nothing left of it, where Xen does not make it: no fault of its customer's. */
export async function restored(
  domain: Domain,
  from: SavedDomain | ComingDomain,
  { folder, file, signal }: { folder: string; file: string; signal: AbortSignal | undefined },
): Promise<Domain> {
  await domain.make(signal, sourceOf(from, folder, file));
  try {
    await domain.tellSeed();
  } catch (error) {
    await domain.unmake();
    throw error;
  }
  await rm(savedState(folder), { force: true });
  return domain;
}
