/** What this machine is worth: measured, not believed. */
import { createHash } from "node:crypto";
import { statfs } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import type { Resources } from "@xenoservers/market";
import type { DriverState } from "../drivers/state.ts";

const MIB = 1024 * 1024;
const BENCH_MS = 120;
/** The rest stays with the owner and the daemon. */
const MEMORY_SHARE = 0.6;
/** Guests' files live in memory (DESIGN section 4), so disk is given out of it too. */
const DISK_SHARE = 0.2;

export interface SelfTest {
  /** One core's work in a fixed mix of hashing and integer loops; 1000 is about a server core of 2023. */
  cpuScore: number;
  /** The most that can be given away. */
  resources: Resources;
  diskFreeMib: number;
  drivers: DriverState[];
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

/** Of the free disk, for guests whose disks lie on it. */
const FREE_DISK_SHARE = 0.5;

/** Disk of WebAssembly jobs, which lies in memory. */
export const memoryDiskMib = (): number => Math.floor((totalmem() / MIB) * DISK_SHARE);

/** `drivers`: as this machine was found to run them. */
export async function selfTest(folder: string, drivers: readonly DriverState[]): Promise<SelfTest> {
  const disk = await statfs(folder);
  const diskFreeMib = Math.floor((disk.bavail * disk.bsize) / MIB);
  const memoryMib = Math.floor(totalmem() / MIB);
  const room = drivers.find((driver) => driver.room !== undefined)?.room;
  const usesHostDisk = drivers.some((driver) => driver.usesHostDisk);
  return {
    cpuScore: cpuScore(),
    resources: {
      ...(room ?? { vcpu: availableParallelism(), memoryMib: Math.floor(memoryMib * MEMORY_SHARE) }),
      diskMib: usesHostDisk ? Math.max(Math.floor(diskFreeMib * FREE_DISK_SHARE), memoryDiskMib()) : memoryDiskMib(),
    },
    diskFreeMib,
    drivers: [...drivers],
  };
}
