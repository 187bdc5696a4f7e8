/** What the lease runner needs of whatever runs guests. The contract suite in driver-contract.ts holds for every driver, the simulated one too. */
import type { Duplex } from "node:stream";
import type { Segment, VmSpec } from "@xenoservers/protocol";
import type { InputEntry, InputTree } from "@xenoservers/protocol/channel";
import type { JobSpec, ResultReasonName } from "./job.ts";

export interface PreparedJob {
  lease: string;
  /** Whose job it is: nothing that a guest leaves behind counts for others. */
  customer: string;
  spec: JobSpec;
  inputs: InputTree;
  /** The job's own limit, or less where the purchase order pays for less. */
  fuelMax: bigint;
  runMsMax: number;
  /** For disputes, in the build with checkpoints: the whole job with the roots of its states, or one segment of it. Null for a plain run. */
  checkpoints: { kind: "trace"; step: string } | (Segment & { kind: "segment"; pieces: readonly { digest: string }[] }) | null;
  /** The host file that holds a blob whose digest was checked; null for a runtime the server has itself. */
  blobFile(digest: string): string;
}

export type GuestEnding =
  | {
      kind: "result";
      reason: ResultReasonName;
      exitCode: number | null;
      detail: string;
      fuel: bigint;
      /** Of the job up to here; `fuel` is that of this run, which is less for a segment. */
      fuelInAll: bigint;
      memoryHash: string | null;
      /** Of a trace; null where the job has no build with checkpoints. */
      roots: string[] | null;
      /** Of a segment that reached its end. */
      stateRoot: string | null;
      endedMonotonicMs: number;
      tree: InputEntry[];
    }
  | { kind: "host-failure"; detail: string; endedMonotonicMs: number };

/** Thrown by `prepare` where no guest ran and no failure of the host's is why: how the lease ends, in words for its customer. */
export class RefusedGuest extends Error {
  override name = "RefusedGuest";
  readonly reason: "image-refused" | "job-refused" | "vm-crashed";

  constructor(reason: RefusedGuest["reason"], words: string, options?: ErrorOptions) {
    super(words, options);
    this.reason = reason;
  }
}

/** JSON that finds the guest again after the daemon was restarted. */
export type GuestToken = { [key: string]: string | number };

export interface RunningGuest {
  readonly token: GuestToken;
  readonly ended: Promise<GuestEnding>;
  onChange(changed: () => void): void;
  /** Bytes of a stream from an offset on; empty when there are no more yet. */
  readStream(stream: "stdout" | "stderr", offset: number): Promise<Uint8Array>;
  readOutput(digest: string, offset: number, length: number): Promise<Uint8Array>;
  /** Interrupts it; what it wrote so far is still handed in, with the reason `stopped`. */
  stop(): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends it at once without a result. */
  kill(): Promise<void>;
  /** Stops following it; the guest runs on. */
  release(): void;
  /** Removes what is left of an ended guest. */
  dispose(): Promise<void>;
  /** Over the guest's network so far; absent where there is none. */
  egressBytes?(): number;
  /** Of a virtual machine: what its customer can do with it while it runs. */
  controls?: VmControls | null;
}

export interface VmControls {
  /** Typed on the serial console. */
  input(bytes: Uint8Array): Promise<void>;
  /** A connection to a port of the guest. */
  open(port: number): Promise<Duplex>;
  /** A request to the agent inside the guest. */
  agent(command: string, args: Record<string, unknown>): Promise<unknown>;
  reboot(): Promise<void>;
  snapshot(): Promise<{ snapshot: string; spec: VmSpec; until: number }>;
}

/** A reserved guest, in which nothing runs yet: its token is saved before it begins. */
export interface PreparedGuest {
  token: GuestToken;
  /** Throws, with nothing left of it, where it does not start. */
  begin(): Promise<RunningGuest>;
  /** In place of `begin`: nothing of it is left. */
  discard(): Promise<void>;
}

export interface GuestDriver {
  readonly engine: string;
  readonly sandbox: { strength: "strong" | "weak"; why: string };
  /** Whether the server itself has these bytes (an interpreter), so that nobody has to send them. */
  hasRuntime(digest: string): boolean;
  /** Throws RefusedGuest; every other error is a failure of the host's. */
  prepare(job: PreparedJob): Promise<PreparedGuest>;
  adopt(token: GuestToken): Promise<RunningGuest>;
  monotonicMs(): number;
  close(): Promise<void>;
}
