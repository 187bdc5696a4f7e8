/** What this machine is worth: measured, not believed. */
import { createHash } from "node:crypto";
import { statfs } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import type { HostState } from "@xenoservers/guests";
import type { Resources } from "@xenoservers/market";

const MIB = 1024 * 1024;
const BENCH_MS = 120;
/** The rest stays with the owner and the daemon. */
const MEMORY_SHARE = 0.6;
/** Guests' files live in memory (DESIGN section 4), so disk is given out of it too. */
const DISK_SHARE = 0.2;

export interface DriverState {
  name: string;
  present: boolean;
  reason: string;
}

export interface SelfTest {
  /** One core's work in a fixed mix of hashing and integer loops; 1000 is about a server core of 2023. */
  cpuScore: number;
  /** The most that can be given away. */
  resources: Resources;
  diskFreeMib: number;
  drivers: DriverState[];
}

function qemuState(qemu: HostState): DriverState {
  if (!qemu.ok) return { name: "qemu", present: false, reason: `${qemu.why}; until then this machine offers WebAssembly only` };
  const { accel, accelWhy, version, limits, stockWhy } = qemu.host;
  const notes = [`QEMU ${version}, ${accel === "kvm" ? "KVM" : `emulated (${accelWhy})`}`, `limits by ${limits.kind}`, ...(stockWhy === "" ? [] : [stockWhy])];
  return { name: "qemu", present: true, reason: notes.join("; ") };
}

function cpuScore(): number {
  const block = Buffer.alloc(16_384, 7);
  let rounds = 0;
  let mixed = 1;
  const start = performance.now();
  while (performance.now() - start < BENCH_MS) {
    createHash("sha256").update(block).digest();
    for (let i = 0; i < 20_000; i++) mixed = (Math.imul(mixed, 1_664_525) + 1_013_904_223) | 0;
    rounds++;
  }
  return Math.max(1, Math.round((rounds / (performance.now() - start)) * 25) + (mixed === 0 ? 1 : 0));
}

/** Of the free disk, for virtual machines. */
const FREE_DISK_SHARE = 0.5;

/** Disk of WebAssembly jobs, which lies in memory. */
export const memoryDiskMib = (): number => Math.floor((totalmem() / MIB) * DISK_SHARE);

export async function selfTest(folder: string, sandbox: { strength: string; why: string }, qemu: HostState): Promise<SelfTest> {
  const disk = await statfs(folder);
  const diskFreeMib = Math.floor((disk.bavail * disk.bsize) / MIB);
  const memoryMib = Math.floor(totalmem() / MIB);
  return {
    cpuScore: cpuScore(),
    resources: {
      vcpu: availableParallelism(),
      memoryMib: Math.floor(memoryMib * MEMORY_SHARE),
      diskMib: qemu.ok ? Math.max(Math.floor(diskFreeMib * FREE_DISK_SHARE), memoryDiskMib()) : memoryDiskMib(),
    },
    diskFreeMib,
    drivers: [
      { name: "wasm", present: true, reason: sandbox.strength === "strong" ? "" : `sandbox is weak: ${sandbox.why}` },
      qemuState(qemu),
      { name: "xen", present: false, reason: "this version has no driver for it" },
    ],
  };
}
