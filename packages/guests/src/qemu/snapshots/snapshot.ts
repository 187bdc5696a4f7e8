/**
 * A running machine's memory, devices and disk at one moment, and a machine that goes on from there. Who controls the inputs: the guest.
 */
import { mkdir, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import type { VmSpec } from "@xenoservers/protocol";
import { flatten, type Base } from "../images/disks.ts";
import { streamState, wholeMemory } from "../machine/state.ts";
import { boxPath, type Vm, type VmStream } from "../machine/vm.ts";
import { VM_FILES } from "../machine/plan.ts";

export interface SnapshotSource {
  /** Of the machine that it was taken of. */
  spec: VmSpec;
  state: string;
  /** Null where the machine has no disk of its own. */
  disk: string | null;
  /** By which an OCI guest's answer is known; empty for others. */
  ociToken: string;
  /** Of the same machine, that ran at another server before: files of what it had printed there. */
  printed?: Readonly<Record<VmStream, string>>;
}

/**
 * A guest that runs stands still meanwhile and goes on afterwards, also when it fails; one that stands still stays so. `base` is what lies
 * under its disk.
 */
export async function takeSnapshot(vm: Vm, folder: string, base: Base | null): Promise<void> {
  const part = `${folder}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true, mode: 0o700 });
  const ran = await vm.isRunning();
  await vm.pause();
  try {
    await wholeMemory(vm);
    const out = await open(path.join(part, VM_FILES.state), "wx", 0o600);
    try {
      await streamState(vm, async (bytes) => void (await out.writeFile(bytes)));
    } finally {
      await out.close();
    }
    if (base) await flatten({ box: path.dirname(boxPath(vm.folder, VM_FILES.disk)), uid: vm.uid, base, to: path.join(part, "disk.qcow2") });
    await rename(part, folder);
  } finally {
    await rm(part, { recursive: true, force: true });
    if (ran) await vm.begin();
  }
}
