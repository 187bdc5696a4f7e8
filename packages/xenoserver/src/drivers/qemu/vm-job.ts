/** What a lease's machine is to be, and what it may use. */
import type { VmSpec } from "@xenoservers/protocol";
import type { InputTree } from "@xenoservers/protocol/channel";

export interface VmJob {
  lease: string;
  customer: string;
  spec: VmSpec;
  inputs: InputTree;
  /** What the lease has, QEMU's own part included. */
  memoryMib: number;
  deterministic: boolean;
  egressMibMax: number;
  /** Used before, by an earlier daemon or at another server, when its network opens. */
  egressBytesUsed(): number;
  fuelMax: bigint;
  /** How long an image at an address may take to come. */
  fetchMsMax?: number;
  /** As its guest's job has it. */
  livedUntilMs?: number;
  /** Nothing of it is kept for its customer's next lease. */
  forgets?: boolean;
  blobFile(digest: string): string;
  /** Aborted where nobody wants the machine any more. */
  signal?: AbortSignal;
}
