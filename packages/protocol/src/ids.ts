/** How stable ids come from keys and documents. */
import { bytesOfHex, concatBytes, toHex, utf8 } from "./bytes.ts";
import { canonicalBytes } from "./canonical.ts";
import type { Crypto } from "./crypto.ts";
import * as z from "zod/mini";
import { TRACE_ROOTS_MAX, zFuel, zId } from "./documents/parts.ts";

const ID_HEX = 40;

const derive = (crypto: Crypto, prefix: string, hex: string): string =>
  `${prefix}_${toHex(crypto.sha256(concatBytes(utf8(`xenoservers ${prefix} `), bytesOfHex(hex)))).slice(0, ID_HEX)}`;

/** A party keeps the id of its first root key for life. */
export const partyIdOf = (crypto: Crypto, firstRootKey: string): string => derive(crypto, "p", firstRootKey);
export const serverIdOf = (crypto: Crypto, serverKey: string): string => derive(crypto, "s", serverKey);
/** A party's own account; sub-accounts take the id of the document that made them. */
export const rootAccountOf = (partyId: string): string => `a_${partyId.slice(2)}`;
export const subAccountOf = (documentId: string): string => `a_${documentId.slice(0, ID_HEX)}`;

/** Of arguments, and of the environment's variables. */
export const ARGUMENTS_MAX = 1024;
/** Of one, as Linux has it. */
const ARGUMENT_LENGTH_MAX = 131_072;

/** One run of a job that has several: the job's own arguments, environment and standard input are then of none. */
const zRun = z.strictObject({
  args: z.array(z.string().check(z.maxLength(ARGUMENT_LENGTH_MAX))).check(z.maxLength(ARGUMENTS_MAX)),
  env: z
    .array(z.tuple([z.string().check(z.minLength(1), z.maxLength(256)), z.string().check(z.maxLength(ARGUMENT_LENGTH_MAX))]))
    .check(z.maxLength(ARGUMENTS_MAX)),
  stdin: zId,
  stdinSize: z.int().check(z.gte(0)),
});
export const RUNS_MAX = 64;

/** What a job is, in digests: bytes and names travel in the channel, never in an order (PROTOCOL section 5). */
export const zJobSpec = z.strictObject({
  module: zId,
  args: zRun.shape.args,
  env: zRun.shape.env,
  inputs: zId,
  /** What the guest finds open, from descriptor 3 on: by which name, and which mount it is. `/` is where paths without a slash lead. */
  preopens: z
    .array(z.tuple([z.string().check(z.minLength(1), z.maxLength(4095)), z.string().check(z.maxLength(4095))]))
    .check(z.maxLength(64)),
  stdin: zId,
  engine: z.string().check(z.maxLength(64)),
  memoryMibMax: z.int().check(z.gte(1), z.lte(4096)),
  diskMibMax: z.int().check(z.gte(0), z.lte(65_536)),
  outputMibMax: z.int().check(z.gte(1), z.lte(65_536)),
  /** The guest is stopped when it has used this much. */
  fuelMax: zFuel,
  seed: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  clockBaseMs: z.int().check(z.gte(0)),
  /** One after the other in one lease (job-runs.ts); absent: it is one run. */
  runs: z.exactOptional(z.array(zRun).check(z.minLength(2), z.maxLength(RUNS_MAX))),
});
export type JobSpec = z.infer<typeof zJobSpec>;

/**
 * One part of a job that a referee runs alone: from the state with the root `from` (null: the job's beginning) to the breakpoint `index`,
 * the first at which index * step fuel was used in all. Its hash stands in the order of the referee's lease in place of the job's.
 */
export const zSegment = z.strictObject({
  from: z.nullable(zId),
  step: zFuel,
  index: z.int().check(z.gte(1), z.lte(TRACE_ROOTS_MAX + 1)),
  /** The fuel at which the run that is judged was ended from outside; null: it came to its own end, under the job's own limit. */
  upTo: z.nullable(zFuel),
});
export type Segment = z.infer<typeof zSegment>;

export const segmentHashOf = (crypto: Crypto, jobHash: string, { from, step, index, upTo }: Segment): string =>
  toHex(crypto.sha256(canonicalBytes({ from, index, jobHash, step, upTo })));

/** What a job came to, as one digest: the last root of its trace. */
export function endRootOf(crypto: Crypto, end: JobEnd): string {
  const { reason, exitCode, fuel, memoryHash, outputDigest, stdoutDigest, stderrDigest } = end;
  const ending = reason === "budget" ? "fuel-limit" : reason;
  return toHex(
    crypto.sha256(canonicalBytes({ end: ending, exitCode, fuel: fuel.toString(), memoryHash, outputDigest, stdoutDigest, stderrDigest })),
  );
}

interface JobEnd {
  reason: string;
  exitCode: number | null;
  /** Used in all. */
  fuel: bigint | string;
  memoryHash: string | null;
  outputDigest: string;
  stdoutDigest: string;
  stderrDigest: string;
}

export const jobHashOf = (crypto: Crypto, spec: JobSpec): string => toHex(crypto.sha256(canonicalBytes(spec)));
