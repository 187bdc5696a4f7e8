/**
 * A job of several runs: one module does them one after the other in one lease, each with an instance, files and a seed of its own. The
 * files of a run stand behind its number, in what is brought and in what is left, and a list that is left says what each came to. What a
 * run would be as a job of its own follows from the whole. Who controls the inputs: the customer (job), the server (list).
 */
import { bytesOfHex, concatBytes, toHex, utf8 } from "./bytes.ts";
import { canonicalBytes } from "./canonical.ts";
import type { InputTree } from "./channel/channel-messages.ts";
import type { Crypto } from "./crypto.ts";
import { zFuel, zId } from "./documents/parts.ts";
import { RUNS_MAX, type JobSpec } from "./ids.ts";
import * as z from "zod/mini";

/** Where what the runs came to is listed. */
export const RUNS_FILE = "runs.json";
/** What a server's offer says that does such jobs: no other gets one. */
export const RUNS_LABEL = { name: "wasm-runs", value: "1" } as const;
/** No list is longer. */
export const RUNS_FILE_BYTES_MAX = 64 * 1024;

/** As a job of its own. */
interface SingleRun {
  spec: JobSpec;
  inputs: InputTree;
  stdinSize: number;
}

const SEED = utf8("xenoservers run ");
const indexBytes = (index: number): Uint8Array => Uint8Array.of(index >>> 24, index >>> 16, index >>> 8, index);

/** What a run draws from: another for each, and the same wherever it is done. */
export const runSeedOf = (crypto: Pick<Crypto, "sha256">, seed: string, index: number): string =>
  toHex(crypto.sha256(concatBytes(SEED, bytesOfHex(seed), indexBytes(index))));

/** A number and a slash. */
const BEHIND = /^(0|[1-9]\d{0,3})\//;

/** Entries by the run that they are of, as it sees them; null where one is of none of so many. */
export function entriesByRun<T extends { path: string }>(entries: readonly T[], count: number): T[][] | null {
  const found: T[][] = Array.from({ length: count }, () => []);
  for (const entry of entries) {
    const [whole, number] = BEHIND.exec(entry.path) ?? [];
    const own = number === undefined ? undefined : found[Number(number)];
    if (own === undefined || whole === undefined) return null;
    own.push({ ...entry, path: entry.path.slice(whole.length) });
  }
  return found;
}

/** The runs of a job, in their order; null: it is one run, or its files are of no run. */
export function singleRunsOf(crypto: Pick<Crypto, "sha256">, { runs, ...common }: JobSpec, inputs: InputTree): SingleRun[] | null {
  const entries = runs && entriesByRun(inputs.entries, runs.length);
  if (!runs || !entries) return null;
  return runs.map(({ args, env, stdin, stdinSize }, index) => {
    const own: InputTree = { entries: entries[index] ?? [], mounts: inputs.mounts };
    const digest = toHex(crypto.sha256(canonicalBytes(own)));
    const seed = runSeedOf(crypto, common.seed, index);
    return { spec: { ...common, args, env, stdin, seed, inputs: digest }, inputs: own, stdinSize };
  });
}

const zRunEnd = z.strictObject({
  ending: z.enum(["exit", "trap", "memory-limit"]),
  exitCode: z.nullable(z.int().check(z.gte(0), z.lte(255))),
  fuel: zFuel,
  memoryHash: z.nullable(zId),
  /** Of the whole job's stream, behind those before it. */
  stdoutBytes: z.int().check(z.gte(0)),
  stdoutDigest: zId,
  stderrBytes: z.int().check(z.gte(0)),
  stderrDigest: zId,
});
/** What one run came to. */
export type RunEnd = z.infer<typeof zRunEnd>;
/** Only an exit has the code of the program's choice; only after one others follow. */
const canBe = ({ ending, exitCode }: RunEnd, index: number, { length }: readonly RunEnd[]): boolean =>
  ending === "exit" ? exitCode !== null : exitCode !== 0 && index === length - 1;
const zRunEnds = z.array(zRunEnd).check(
  z.maxLength(RUNS_MAX),
  z.refine((ends) => ends.every(canBe)),
);

/** Those that count, in their order: one that is not there was not done. Null where it is no such list. */
export function parseRunEnds(bytes: Uint8Array): RunEnd[] | null {
  if (bytes.length > RUNS_FILE_BYTES_MAX) return null;
  try {
    return zRunEnds.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch {
    return null;
  }
}
