/** One language for every figure (DESIGN section 8): a JSON object a line. */
import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, totalmem } from "node:os";

export interface Figure {
  name: string;
  value: number;
  unit: string;
  peer: string;
  peerValue: number | null;
  ratio: number | null;
  /** The promise: ratio (or value where there is no peer) at most this; null = context only. */
  bar: number | null;
  ok: boolean;
}

const machine = `${cpus()[0]?.model.trim() ?? "?"}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "unknown";
  }
}

const round = (value: number): number => Number(value.toPrecision(4));

export function report(
  name: string,
  value: number,
  unit: string,
  against: { peer: string; peerValue: number } | null,
  bar: number | null,
): Figure {
  const ratio = against ? round(value / against.peerValue) : null;
  const measured = ratio ?? value;
  const figure: Figure = {
    name,
    value: round(value),
    unit,
    peer: against?.peer ?? "",
    peerValue: against ? round(against.peerValue) : null,
    ratio,
    bar,
    ok: bar === null || measured <= bar,
  };
  console.log(JSON.stringify({ ...figure, machine, commit: commit() }));
  return figure;
}

/** A row that could not be measured: said, and missed. The rows after it are measured all the same. */
export function broken(name: string, error: unknown): Figure {
  const figure: Figure = { name, value: Number.NaN, unit: "", peer: "", peerValue: null, ratio: null, bar: null, ok: false };
  const says = error instanceof Error ? error.message : String(error);
  console.log(JSON.stringify({ ...figure, error: says, machine, commit: commit() }));
  return figure;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
}
