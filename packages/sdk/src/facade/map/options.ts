/** What `market.map` takes and gives. Who controls the inputs: the program that calls, or whoever it has them from. */
import { WAITING_PER_PARTY_MAX } from "@xenoservers/market";
import { InputError } from "../../errors.ts";
import { budgetIn } from "../../words.ts";
import type { JobResult } from "../job-result.ts";
import type { RunInput } from "../run-input.ts";

/** How many jobs are run. */
export interface MapOptions {
  /** How many at once; absent: 8. */
  parallel?: number;
  /** The most that all together may cost, held once: "5.00", or nanos. Absent: each job has its own budget, and there is no other bound. */
  budget?: string | bigint;
  /** "each": each job has a hold of its own, and no more is ordered at once than the budget allows. Absent: "once". */
  hold?: "once" | "each";
  /** How often a job is run again that ends by no fault of its customer; absent: not. */
  retries?: number;
  /** "raise": the first that fails ends the rest, and is thrown; absent: failures stand among the results. */
  failures?: "return" | "raise";
  /** Called whenever a job begins or ends. */
  onProgress?(progress: MapProgress): void;
  /** Ends it. What runs runs on where there is a name to go on by (`resume`), and is stopped where there is none. */
  signal?: AbortSignal;
  /** What runs when it is ended is stopped, also where there is a name: a later call runs it anew. Absent: false. */
  stops?: boolean;
  /** A name under which this machine keeps what became of each job: a later call with it pays for nothing that ran. */
  resume?: string;
  /** Takes what the same work came to earlier, where its receipt holds and all of it is kept here: nothing is ordered, nothing is due. */
  reuse?: boolean;
}

/** How far it has come. */
export interface MapProgress {
  all: number;
  done: number;
  failed: number;
  /** Ordered and not over, those that wait for room too. */
  running: number;
  /** Of those done, how many had run before this call. */
  earlier: number;
  /** What was paid, before this call too. */
  costNanos: bigint;
  /** What all will have cost, if the rest costs as much each; null: nothing is known yet. */
  estimateNanos: bigint | null;
  /** Jobs that ended in this call, a second. */
  perSecond: number;
  /** Null: nothing is known yet. */
  leftMs: number | null;
}

interface Place<T> {
  index: number;
  input: T;
  /** It had run before this call, and was not paid again. */
  isEarlier: boolean;
  /** It is what an earlier lease came to for the same work (`reuse`). */
  isReused: boolean;
}

/** What one input came to. */
export type Mapped<T> = Place<T> & ({ ok: true; result: JobResult } | { ok: false; result: JobResult | null; error: Error });

/** The same, read. */
export interface MapSettings {
  parallel: number;
  budgetNanos: bigint | null;
  holdsOnce: boolean;
  retries: number;
  raises: boolean;
  onProgress: ((progress: MapProgress) => void) | null;
  signal: AbortSignal | null;
  name: string | null;
  stops: boolean;
  reuses: boolean;
}

const PARALLEL = 8;
const RETRIES_MAX = 100;
const KEYS: readonly string[] = [
  "parallel",
  "budget",
  "hold",
  "retries",
  "failures",
  "onProgress",
  "signal",
  "stops",
  "resume",
  "reuse",
] satisfies (keyof MapOptions)[];

const isCount = (value: unknown, least: number, most: number): boolean =>
  typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;

/** Of a map, as of a file. */
export const isMapName = (name: unknown): boolean => typeof name === "string" && /^[A-Za-z0-9_][\w.-]{0,63}$/.test(name);

/** Throws InputError. */
export function mapSettingsOf(options: MapOptions): MapSettings {
  const unknown = Object.keys(options).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw new InputError(`'${unknown.slice(0, 64)}' is nothing that a map takes`);
  const {
    parallel = PARALLEL,
    budget,
    hold = "once",
    retries = 0,
    failures = "return",
    onProgress,
    signal,
    stops = false,
    resume,
    reuse = false,
  } = options;
  if (!isCount(parallel, 1, WAITING_PER_PARTY_MAX)) throw new InputError(`parallel must be a number from 1 to ${WAITING_PER_PARTY_MAX}`);
  if (!isCount(retries, 0, RETRIES_MAX)) throw new InputError(`retries must be a number from 0 to ${RETRIES_MAX}`);
  if (hold !== "once" && hold !== "each") throw new InputError('hold must be "once" or "each"');
  if (failures !== "return" && failures !== "raise") throw new InputError('failures must be "return" or "raise"');
  if (onProgress !== undefined && typeof onProgress !== "function") throw new InputError("onProgress must be a function");
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new InputError("signal must be an AbortSignal");
  if (typeof stops !== "boolean") throw new InputError("stops must be true or false");
  if (typeof reuse !== "boolean") throw new InputError("reuse must be true or false");
  if (resume !== undefined && !isMapName(resume))
    throw new InputError("resume must be a name of at most 64 letters, digits, '-', '_' and '.'");
  return {
    ...{
      parallel,
      retries,
      raises: failures === "raise",
      budgetNanos: budget === undefined ? null : budgetIn(budget),
      holdsOnce: hold === "once",
    },
    ...{ onProgress: onProgress ?? null, signal: signal ?? null, name: resume ?? null, reuses: reuse },
    stops: stops || resume === undefined,
  };
}

const PLACE = "{}";

/** A run for one input: its text in place of each `{}` in the arguments, else behind them. */
export function placed(template: RunInput, input: unknown): RunInput {
  if (typeof input !== "string" && typeof input !== "number")
    throw new InputError("inputs of a map are texts or numbers; for others give a function that makes a run of each");
  const text = String(input);
  const args = template.args ?? [];
  const has = args.some((each) => each.includes(PLACE));
  return { ...template, args: has ? args.map((each) => each.replaceAll(PLACE, () => text)) : [...args, text] };
}
