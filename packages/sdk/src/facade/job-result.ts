/**
 * What a job came to, as its program gets it. Who controls the inputs: the server (output, result, files), the broker (settlement,
 * receipt).
 */
import type { EndReason } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import type { ReceiptVerification } from "@xenoservers/verify";
import { NotStartedError } from "../errors.ts";
import type { Delivered } from "../session/result.ts";
import type { Stream } from "../session/streams.ts";
import type { JobFile } from "./job-files.ts";
import type { RunState } from "./map/run-state.ts";
import type { Output } from "./output.ts";

/** What a lease costs, as both sides and anyone who checks compute it. */
export interface Bill {
  /** What is paid in all. */
  dueNanos: bigint;
  ownerNanos: bigint;
  feeNanos: bigint;
  /** What of the hold came back. */
  refundNanos: bigint;
  billableFuel: bigint;
  billableMs: number;
}

/** What a job came to. */
export interface JobResult {
  lease: string;
  /** Of a lease that served several inputs of a map: which of them it is, and whether it was done there. Absent: the lease is its own. */
  run?: { index: number; state: RunState };
  /** It ended by itself with exit code 0, everything that was signed is here, and its receipt holds. */
  ok: boolean;
  end: { reason: EndReason; blame: string; at: number; audited: boolean | null };
  exitCode: number | null;
  /** Of the result, in the server's words. */
  detail: string;
  bill: Bill;
  /** The first MiB of each stream. */
  stdout: string;
  stderr: string;
  /** The same as bytes, for what is no text. */
  printed: Readonly<Record<Stream, Uint8Array>>;
  /** Whether one of them was longer. */
  isCut: boolean;
  files: readonly JobFile[];
  /** From whom its bytes came; null: they did not come. */
  delivered: Delivered["from"] | null;
  /** Its receipt, which is kept on this machine, checked line by line. */
  verification: ReceiptVerification;
}

interface CameTo {
  lease: LeaseView;
  delivered: Delivered | null;
  output: Output;
  files: readonly JobFile[];
  verification: ReceiptVerification;
  /** Whether this program has stopped it. */
  isStopped: boolean;
}

const billOf = (end: NonNullable<LeaseView["end"]>): Bill => ({
  dueNanos: BigInt(end.dueNanos),
  ownerNanos: BigInt(end.ownerNanos),
  feeNanos: BigInt(end.feeNanos),
  refundNanos: BigInt(end.refundNanos),
  billableFuel: BigInt(end.billableFuel),
  billableMs: end.billableMs,
});

/** Throws NotStartedError. */
export function resultOf({ lease: { id, end }, delivered, output, files, verification, isStopped }: CameTo): JobResult {
  if (!end && isStopped) throw new NotStartedError(`lease ${id} was stopped before a server took it`, { left: "over" });
  if (!end) throw new NotStartedError(`no server took lease ${id}, and its order was placed nowhere else`);
  const { reason, blame, at, audited, exitCode } = end;
  const isHere = end.result === null || delivered !== null;
  return {
    lease: id,
    ok: reason === "completed" && exitCode === 0 && isHere && verification.ok,
    end: { reason, blame, at, audited },
    exitCode,
    detail: delivered?.result.detail ?? "",
    bill: billOf(end),
    stdout: output.textOf("stdout"),
    stderr: output.textOf("stderr"),
    printed: { stdout: output.bytesOf("stdout"), stderr: output.bytesOf("stderr") },
    isCut: output.isCut("stdout") || output.isCut("stderr"),
    files,
    delivered: delivered?.from ?? null,
    verification,
  };
}
