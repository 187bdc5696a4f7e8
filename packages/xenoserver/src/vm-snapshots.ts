/**
 * A customer's own snapshots of running machines: memory and devices as QEMU streams them, and the disk as it was. They stay on the server that took
 * them, for that customer alone, until it is told to drop them or the owner's time for them is over. Who controls the inputs: the customer, the guest.
 */
import { randomBytes } from "node:crypto";
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Machine, SnapshotSource } from "@xenoservers/guests";
import { zVmSpec, type VmSpec } from "@xenoservers/protocol";

export interface SnapshotOf {
  customer: string;
  spec: VmSpec;
  lease: string;
}

export class SnapshotStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The guest stands still while it is taken. */
  async take(machine: Machine, { customer, spec: ordered, lease }: SnapshotOf): Promise<{ snapshot: string; spec: VmSpec }> {
    // of a machine that began with a snapshot itself, that one's
    const spec = ordered.vm.kind === "snapshot" ? (await this.find(customer, ordered.vm.snapshot))?.spec : ordered;
    if (!spec) throw new Error("the snapshot that this machine began with is gone");
    const snapshot = randomBytes(32).toString("hex");
    const folder = path.join(this.#folder, customer, snapshot);
    await mkdir(path.dirname(folder), { recursive: true, mode: 0o700 });
    await machine.snapshot(folder);
    await writeFile(path.join(folder, "snapshot.json"), JSON.stringify({ customer, lease, spec }), { mode: 0o600 });
    return { snapshot, spec };
  }

  /** Null where this customer has no such snapshot here. */
  async find(customer: string, snapshot: string): Promise<SnapshotSource | null> {
    if (!/^[0-9a-f]{64}$/.test(snapshot) || !/^p_[0-9a-f]{40}$/.test(customer)) return null;
    const folder = path.join(this.#folder, customer, snapshot);
    const text = await readFile(path.join(folder, "snapshot.json"), "utf8").catch(() => null);
    if (text === null) return null;
    const spec = zVmSpec.parse((JSON.parse(text) as { spec: unknown }).spec);
    const disk = path.join(folder, "disk.qcow2");
    const hasDisk = await access(disk).then(
      () => true,
      () => false,
    );
    return { spec, state: path.join(folder, "state"), disk: hasDisk ? disk : null };
  }
}
