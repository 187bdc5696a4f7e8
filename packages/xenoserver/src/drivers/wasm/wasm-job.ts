/**
 * What the driver for WebAssembly is given, and what it gives: below the contract of all drivers, for whoever runs a job without a lease.
 */
import type { InputTree } from "@xenoservers/protocol/channel";
import type { Hold } from "@xenoservers/market";
import type { JobSpec, Segment } from "@xenoservers/protocol";
import type { GuestToken, PreparedGuest, RunningGuest } from "../driver.ts";

export interface PreparedJob {
  lease: string;
  /** Whose job it is: nothing that a guest leaves behind counts for others. */
  customer: string;
  spec: JobSpec;
  inputs: InputTree;
  /** Of the lease: its weight beside others. */
  vcpu: number;
  /** The job's own limit, or less where the purchase order pays for less. */
  fuelMax: bigint;
  runMsMax: number;
  /**
   * For disputes, in the build with breakpoints: the whole job with the roots of its states, or one segment of it. Null for a plain run.
   */
  breakpoints: { kind: "trace"; step: string } | (Segment & { kind: "segment"; pieces: readonly { digest: string }[] }) | null;
  /** Under which key of its customer's its process may serve other jobs, before and after it; absent: none. */
  sharedBy?: string;
  /** Nothing of it is kept for its customer's next job. */
  forgets?: boolean;
  /** Nobody compares its result with another: its memory is not hashed at its end. */
  unjudged?: boolean;
  /** Its module's machine code is kept for later runs of this machine's user, and of nobody else's. */
  keepsCode?: boolean;
  /** The host file that holds a blob whose digest was checked; null for a runtime the server has itself. */
  blobFile(digest: string): string;
  /** Lays the module there, and is called where it is needed alone; absent: it lies there. */
  bringModule?(): Promise<void>;
}

export interface WasmDriver {
  readonly engine: string;
  /** Whether it does jobs of several runs. */
  readonly doesRuns: boolean;
  /** `without`: what does not hold its guests here although it is strong, in words; empty where all does. */
  readonly sandbox: { strength: "strong" | "weak"; why: string; without: string; holds: readonly Hold[] };
  /** Whether the server itself has these bytes (an interpreter), so that nobody has to send them. */
  hasRuntime(digest: string): boolean;
  /** Throws RefusedWork where the customer's bytes are at fault. */
  prepare(job: PreparedJob): Promise<PreparedGuest>;
  /** As the contract of all drivers says. */
  adopt(token: GuestToken): Promise<RunningGuest | null>;
  monotonicMs(): number;
  makeRoom(): Promise<void>;
  close(): Promise<void>;
}

/** The machine's own, beside the simulated one. */
export interface OwnWasmDriver extends WasmDriver {
  /** Ends what only waits for its customer's next job, where the host is short of so much memory for what comes. */
  makeMemory(memoryMib: number): Promise<void>;
}
