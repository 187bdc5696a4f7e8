/**
 * Room on the disk of a server that gives a guest away: what is saved of it to be carried lies there first. A server that is drained for
 * its full disk must not fill the last of it. Who controls the inputs: the owner (the disk), the guest (how much it has written).
 */
import { stat, statfs } from "node:fs/promises";
import type { Resources } from "@xenoservers/market";
import type { VmSpec } from "@xenoservers/protocol";
import type { CarriedMib } from "./driver.ts";

const MIB = 1024 * 1024;
/** Journals of all leases want some. */
const LEFT_FREE_MIB = 256;
/** stat(2) counts in these. */
const BLOCK_BYTES = 512;

const hasGone = (): number => 0;

/** Beside memory, disk and what was printed: the state of devices, how files are made up. */
export const SLACK_MIB = 64;

/** The most that comes of a machine, by what was bought. `times`: of its memory that is kept, and how often over all may be sent. */
export function carriedMib(
  { outputMibMax }: Pick<VmSpec, "outputMibMax">,
  { memoryMib, diskMib }: Resources,
  times: { kept: number; sent: number },
): CarriedMib {
  const kept = times.kept * memoryMib + diskMib + outputMibMax + SLACK_MIB;
  return { kept, sent: times.sent * kept };
}

/** What a file takes of the disk. */
export async function takenMib(file: string): Promise<number> {
  return (await stat(file).then(({ blocks }) => blocks * BLOCK_BYTES, hasGone)) / MIB;
}

/** Throws, in words, where so much is not free there. */
export async function needRoomToCarry(folder: string, wantedMib: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeMib = Math.floor((bavail * bsize) / MIB);
  const mib = Math.ceil(wantedMib) + LEFT_FREE_MIB;
  if (freeMib < mib) throw new Error(`this server's disk has no room to save it: ${mib} MiB have to be free, ${freeMib} are`);
}
