/**
 * What each run of a lease of several came to: its own words, files and end, its share of the cost. All of it is what the server signed:
 * the streams, the list of what each came to, and the files behind its number. Who controls the inputs: the server (list, files, streams),
 * the broker (the lease's end and bill).
 */
import type { EndReason } from "@xenoservers/market";
import { RUNS_FILE, RUNS_FILE_BYTES_MAX, RUNS_MAX, entriesByRun, parseRunEnds, type RunEnd } from "@xenoservers/protocol";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { GivenUpError, MarketError } from "../../errors.ts";
import type { TreeFile } from "../../session/result.ts";
import type { FilesPlace } from "../here.ts";
import { collected, listed, type JobFile } from "../job-files.ts";
import type { Bill, JobResult } from "../job-result.ts";
import { textOf } from "../output.ts";
import { listProblem } from "./list-problem.ts";
import { stateOf } from "./run-state.ts";
import type { Followable } from "./ways.ts";

/** Of each stream of a run, as of a job. */
const PRINTED_BYTES_MAX = 1024 * 1024;

const REASONS: Readonly<Record<RunEnd["ending"], EndReason>> = { exit: "completed", trap: "completed", "memory-limit": "memory-limit" };

/** What lay in the folders of one run. */
interface Brought {
  files: readonly JobFile[];
  /** It could not be brought here. */
  failure: unknown;
}

/** Takes what a lease of several runs left, each run's to its own place. */
export class RunsTaken {
  readonly #places: ReadonlyMap<number, FilesPlace>;
  /** Null: the job is not kept here. */
  readonly #known: number | null;
  readonly #brought = new Map<number, Brought>();
  /** Null: it is not here, or is no list. */
  ends: RunEnd[] | null = null;
  #list: Uint8Array | null = null;
  readonly #problems = new WeakMap<JobResult, { is: string | null }>();

  /** `places`: of those whose files are wanted here, by their number. */
  constructor(count: number | null, places: ReadonlyMap<number, FilesPlace>) {
    this.#known = count;
    this.#places = places;
  }

  /** Of runs; the most that there may be where nobody knows. */
  get count(): number {
    return this.#known ?? RUNS_MAX;
  }

  /** Why what its server signed cannot all be so, in words; null where it can. */
  problemOf(whole: JobResult): string | null {
    const known = this.#problems.get(whole) ?? { is: listProblem(whole, this.ends, { isThere: this.#list !== null, count: this.#known }) };
    this.#problems.set(whole, known);
    return known.is;
  }

  /** The list's bytes. */
  get list(): Uint8Array | null {
    return this.#list;
  }

  async take(tree: readonly InputEntry[], fetch: (file: TreeFile) => Promise<Uint8Array>): Promise<void> {
    // another server's is void
    this.#brought.clear();
    [this.ends, this.#list] = [null, null];
    const list = tree.find((entry): entry is TreeFile => entry.kind === "file" && entry.path === RUNS_FILE);
    if (!list || list.size > RUNS_FILE_BYTES_MAX) return;
    this.#list = (await fetch(list)).slice();
    const ends = parseRunEnds(this.#list);
    const trees = entriesByRun(
      tree.filter((entry) => entry !== list),
      this.count,
    );
    if (!ends || !trees || ends.length > this.count) return;
    for (const [index, place] of this.#places)
      if (index < ends.length) this.#brought.set(index, await brought(place, trees[index]!, fetch));
    this.ends = ends;
  }

  of(index: number): Brought {
    return this.#brought.get(index) ?? { files: [], failure: null };
  }
}

async function brought({ files, write }: FilesPlace, tree: InputEntry[], fetch: (file: TreeFile) => Promise<Uint8Array>): Promise<Brought> {
  try {
    if (files === "held") return { files: await collected(tree, fetch), failure: null };
    await write(tree, fetch);
    return { files: listed(tree), failure: null };
  } catch (failure) {
    return { files: [], failure };
  }
}

const MONEY = ["dueNanos", "ownerNanos", "feeNanos", "refundNanos"] as const;

/** By what each used; what is left over is of the one that was under way when the lease ended, else of the last. The sum is the whole. */
export function billsOf(bill: Bill, ends: readonly RunEnd[], count: number): Bill[] {
  const weights = Array.from({ length: count }, (_, index) => BigInt(ends[index]?.fuel ?? 0));
  const known = weights.reduce((sum, each) => sum + each, 0n);
  const under = Math.min(ends.length, count - 1);
  if (bill.billableFuel > known) weights[under] = (weights[under] ?? 0n) + bill.billableFuel - known;
  const total = weights.reduce((sum, each) => sum + each, 0n);
  if (total === 0n) return weights.map((_, index) => (index === under ? bill : NOTHING));
  const bills: Bill[] = [];
  const until = (whole: bigint, sum: bigint): bigint => (whole * sum) / total;
  let sum = 0n;
  for (const weight of weights) {
    const [from, to] = [sum, (sum += weight)];
    const share = Object.fromEntries(MONEY.map((key) => [key, until(bill[key], to) - until(bill[key], from)]));
    const ms = until(BigInt(bill.billableMs), to) - until(BigInt(bill.billableMs), from);
    const fuel = until(bill.billableFuel, to) - until(bill.billableFuel, from);
    bills.push({ ...NOTHING, ...share, billableFuel: fuel, billableMs: Number(ms) });
  }
  return bills;
}

const NOTHING: Bill = { dueNanos: 0n, ownerNanos: 0n, feeNanos: 0n, refundNanos: 0n, billableFuel: 0n, billableMs: 0 };

function printedBy(whole: JobResult, ends: readonly RunEnd[], index: number): Pick<JobResult, "printed" | "stdout" | "stderr" | "isCut"> {
  const partOf = (stream: "stdout" | "stderr"): { bytes: Uint8Array; isCut: boolean } => {
    const sizes = ends.map((end) => (stream === "stdout" ? end.stdoutBytes : end.stderrBytes));
    const from = sizes.slice(0, index).reduce((sum, size) => sum + size, 0);
    const size = sizes[index] ?? 0;
    const bytes = whole.printed[stream].slice(from, from + Math.min(size, PRINTED_BYTES_MAX));
    return { bytes, isCut: bytes.length < size };
  };
  const [stdout, stderr] = [partOf("stdout"), partOf("stderr")];
  return {
    ...{ stdout: textOf(stdout.bytes), stderr: textOf(stderr.bytes), isCut: stdout.isCut || stderr.isCut },
    printed: { stdout: stdout.bytes, stderr: stderr.bytes },
  };
}

const DETAIL_OF = /^run (\d+): /;

/** What one run came to. Throws what came when its files were brought here. */
export function partOf(whole: JobResult, taken: RunsTaken, index: number): JobResult {
  const problem = taken.problemOf(whole);
  const ends = problem === null ? (taken.ends ?? []) : [];
  // what is not to be had any more would not be by another lease's price
  const isLost = taken.ends === null && whole.delivered === null;
  const left = isLost ? "ended" : stateOf(index, taken.ends?.length ?? null, whole.end.reason);
  const state = problem === null ? left : "wrong";
  const bill = billsOf(whole.bill, ends, taken.count)[index] ?? NOTHING;
  const own = ends[index];
  const run = { index, state } as const;
  if (state !== "done" || !own) {
    const empty = new Uint8Array();
    const nothing = { stdout: "", stderr: "", printed: { stdout: empty, stderr: empty }, isCut: false, files: [] };
    return { ...whole, ...nothing, ...{ ok: false, exitCode: null, detail: problem ?? whole.detail, bill, run } };
  }
  const { files, failure } = taken.of(index);
  if (failure !== null) throw failure instanceof MarketError ? failure : new GivenUpError(whole.lease, "over", failure);
  const [said, number] = DETAIL_OF.exec(whole.detail) ?? [""];
  const reason = REASONS[own.ending];
  return {
    ...{ ...whole, ...printedBy(whole, ends, index), files, bill, run },
    ...{ exitCode: own.exitCode, detail: number === String(index) ? whole.detail.slice(said.length) : "" },
    end: { ...whole.end, reason },
    ok: reason === "completed" && own.exitCode === 0 && whole.delivered !== null && whole.verification.ok,
  };
}

/** One run of a lease, followed as if it were a job. */
export function partJob(job: Followable, index: number, taken: RunsTaken): Followable {
  const result = job.result.then((whole) => partOf(whole, taken, index));
  result.catch(() => {});
  return {
    get lease() {
      return job.lease;
    },
    get isThere() {
      return job.isThere;
    },
    result,
    ended: job.ended,
    stop: (options) => job.stop(options),
    detach: () => job.detach(),
  };
}
