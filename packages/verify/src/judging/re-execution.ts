/**
 * A signed result against what running the same job again comes to. The engine is deterministic, so any difference convicts whoever
 * signed the result. Who controls the inputs: the server (the manifest); the re-execution is the verifier's own.
 */
import { TERMS, VM_FUEL_SLACK, wasRun } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";

export interface ReExecuted {
  engine: string;
  reason: string;
  exitCode: number | null;
  fuel: bigint;
  memoryHash: string | null;
  outputDigest: string;
  stdoutDigest: string;
  stderrDigest: string;
  /** Root at the end of a segment of the trace, where the job was run again with breakpoints; null past the last. */
  rootAt?(segment: number): string | null;
}

/** The fuel at which to stop a re-execution so that it ends where the server's did; null to let it run to its own end. */
export function stoppedAt({ reason, fuel }: Payload<"result">): bigint | null {
  return TERMS[reason].byChance || reason === "budget" ? BigInt(fuel) : null;
}

/** Where the manifest differs from the re-execution, in words; null when it is right. */
export function resultProblem(manifest: Payload<"result">, own: ReExecuted): string | null {
  if (!wasRun(manifest)) return null;
  const outside = TERMS[manifest.reason].byChance;
  const pairs: [name: string, signed: unknown, found: unknown][] = [
    ["engine", manifest.engine, own.engine],
    ["standard output", manifest.stdoutDigest, own.stdoutDigest],
    ["standard error", manifest.stderrDigest, own.stderrDigest],
    ["output files", manifest.outputDigest, own.outputDigest],
  ];
  if (!outside) {
    const ending = (reason: string): string => (reason === "budget" ? "fuel-limit" : reason);
    pairs.push(
      ["ending", ending(manifest.reason), ending(own.reason)],
      ["exit code", manifest.exitCode, own.exitCode],
      ["fuel", manifest.fuel, agreedFuel(manifest, own)],
      ["memory", manifest.memoryHash, own.memoryHash],
    );
  }
  const wrong = pairs.find(([, signed, found]) => signed !== found);
  return wrong ? `the server signed ${wrong[0]} ${short(wrong[1])}, running the job again gives ${short(wrong[2])}` : null;
}

/** Of the verifier's own run; the manifest's where the difference is one that honest machines may have. */
function agreedFuel({ engine, fuel }: Payload<"result">, own: ReExecuted): string {
  const apart = own.fuel - BigInt(fuel);
  const within = engine.startsWith(VM_ENGINE) && apart <= VM_FUEL_SLACK && -apart <= VM_FUEL_SLACK;
  return within ? fuel : own.fuel.toString();
}

const VM_ENGINE = "qemu-";

const short = (value: unknown): string =>
  value === null ? "none" : String(value).length > 24 ? `${String(value).slice(0, 12)}…` : String(value);
