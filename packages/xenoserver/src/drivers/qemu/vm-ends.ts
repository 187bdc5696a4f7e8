/**
 * Whose doing it was that a machine ended or never began, as the reason that its lease ends with. Both tables are total: a new kind of
 * end does not compile until somebody has decided. What a guest or its customer can bring about is never the host's failure. Pure.
 */
import { FUEL_PER_GUEST_SECOND, minNanos } from "@xenoservers/market";
import { NANOSECONDS_PER_INSTRUCTION, Refusal, type Fault, type MachineEnd } from "@xenoservers/guests";
import type { GuestEnding } from "../driver.ts";
import { RefusedWork } from "../refused.ts";

const NANOSECONDS_PER_SECOND = 1_000_000_000n;
/** Of the guest's clock, as for every deterministic job. */
const FUEL_PER_INSTRUCTION = (FUEL_PER_GUEST_SECOND * NANOSECONDS_PER_INSTRUCTION) / NANOSECONDS_PER_SECOND;

type Result = Extract<GuestEnding, { kind: "result" }>;
type Simple = Exclude<MachineEnd["kind"], "job" | "deterministic" | "host" | "no-room">;

const ENDED: Record<Simple, Pick<Result, "reason" | "exitCode" | "detail">> = {
  shutdown: { reason: "completed", exitCode: 0, detail: "" },
  panic: { reason: "guest-panic", exitCode: null, detail: "" },
  hang: { reason: "guest-panic", exitCode: null, detail: "the guest hung: it did not feed the watchdog that it had armed" },
  "output-limit": { reason: "output-limit", exitCode: null, detail: "" },
  stopped: { reason: "stopped", exitCode: null, detail: "" },
  "memory-limit": {
    reason: "memory-limit",
    exitCode: null,
    detail: "the kernel ended QEMU: it and the guest needed more than the lease's memory",
  },
  crashed: { reason: "vm-crashed", exitCode: null, detail: "" },
};

/** `now`, or earlier where that is known. By the host's monotonic clock: of a host that was restarted since, it may be later. */
export const endedAt = (end: MachineEnd, now: number): number => Math.min(now, end.endedMonotonicMs ?? now);

export function endingOf(end: MachineEnd, fuelMax: bigint, endedMonotonicMs: number): GuestEnding {
  const none = { fuel: 0n, fuelInAll: 0n, memoryHash: null, roots: null, stateRoot: null, endedMonotonicMs, tree: [], detail: "" };
  switch (end.kind) {
    case "host":
      return { kind: "host-failure", detail: end.detail, endedMonotonicMs };
    case "no-room":
      return { kind: "host-failure", detail: "the disk of this server was full, and nobody made room", endedMonotonicMs };
    case "job":
      return {
        ...{ kind: "result", ...none, exitCode: end.exitCode, tree: end.tree, detail: end.detail },
        reason: end.stopped ? "stopped" : "completed",
      };
    case "deterministic": {
      // the limit bounds the bill alone: two honest servers need not agree on the last instruction (VM_FUEL_SLACK)
      const fuel = minNanos(end.instructions * FUEL_PER_INSTRUCTION, fuelMax);
      return { kind: "result", ...none, fuel, fuelInAll: fuel, memoryHash: end.memoryHash, reason: "completed", exitCode: 0 };
    }
    default: {
      const said = "detail" in end ? end.detail : "";
      return { kind: "result", ...none, ...ENDED[end.kind], ...(said === "" ? {} : { detail: said }) };
    }
  }
}

const REASONS: Record<Fault, RefusedWork["reason"]> = {
  bytes: "image-refused",
  limits: "job-refused",
  job: "job-refused",
  fetch: "image-unfetched",
  untold: "vm-crashed",
};

/** What `prepare` throws: a refusal with its reason; everything else is the host's failure and stays what it is. */
export const refusedOr = (error: unknown): unknown =>
  error instanceof Refusal ? new RefusedWork(REASONS[error.fault], error.message, { cause: error }) : error;
