/**
 * A signed result against what running the same job again comes to. The engine is deterministic, so any difference convicts whoever
 * signed the result. Who controls the inputs: the server (the manifest); the re-execution is the verifier's own.
 */
import { TERMS, VM_FUEL_SLACK, isEndReason, wasRun, type EndReason } from "@xenoservers/market";
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
  /** Of a segment: the root of the state that it came to. */
  stateRoot?: string | null;
  /** Root at the end of a segment of the trace, where the job was run again with breakpoints; null past the last. */
  rootAt?(segment: number): string | null;
}

/** Whether the server's run ended where somebody stopped it, or time was up: its fuel is where that was. */
const wasStopped = ({ reason, fuel, fuelMax }: Payload<"result">): boolean =>
  TERMS[reason].byChance || (TERMS[reason].proof === "either-limit" && BigInt(fuel) < BigInt(fuelMax));

/** The fuel under which a re-execution ends where the server's did; null to let it run to its own end. */
export function stoppedAt(result: Payload<"result">): bigint | null {
  if (wasStopped(result)) return BigInt(result.fuel);
  return isAtLimit(result.reason) ? BigInt(result.fuelMax) : null;
}

const isAtLimit = (reason: EndReason): boolean => TERMS[reason].proof === "fuel-limit" || TERMS[reason].proof === "either-limit";
/** Both mean that the limit of fuel was reached. */
const ending = (reason: string): string => (isEndReason(reason) && isAtLimit(reason) ? "fuel-limit" : reason);

/** Where the manifest differs from the re-execution, in words; null when it is right. */
export function resultProblem(manifest: Payload<"result">, own: ReExecuted): string | null {
  if (!wasRun(manifest)) return null;
  const stopped = wasStopped(manifest);
  const pairs: [name: string, signed: unknown, found: unknown][] = [
    ["engine", manifest.engine, own.engine],
    ["standard output", manifest.stdoutDigest, own.stdoutDigest],
    ["standard error", manifest.stderrDigest, own.stderrDigest],
    ["output files", manifest.outputDigest, own.outputDigest],
  ];
  // what came to its own end before was not stopped there
  const endedBefore = isEndReason(own.reason) && TERMS[own.reason].proof === "own-end" && own.fuel < BigInt(manifest.fuel);
  if (stopped && endedBefore) pairs.push(["fuel", manifest.fuel, own.fuel.toString()]);
  if (own.stateRoot !== undefined) pairs.push(["state", manifest.stateRoot, own.stateRoot]);
  if (!stopped) {
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
