/**
 * How large a result may be that is like every other run's of the same job: all of it can be left, sealed, with the broker, so that pay on
 * delivery never hangs on what its customer does with the bytes. What an ordinary machine leaves is paid by the interval, and needs no such
 * bound. Customer, server and whoever runs the job again hold a result against the same rule.
 */
import { toHex, utf8 } from "./bytes.ts";
import type { InputEntry } from "./channel/channel-messages.ts";
import { canonicalBytes } from "./canonical.ts";
import type { Crypto } from "./crypto.ts";

const MIB = 1024 * 1024;
export const RESULT_BYTES_MAX = 1024 * MIB;
/** A part of a sealed result as a broker keeps it, and what of it the seal takes: an encapsulated key and a tag. */
export const SEALED_PART_BYTES_MAX = 16 * MIB;
export const SEAL_BYTES = 48;
/** So many hold the largest result. */
export const SEALED_PARTS_MAX = Math.ceil((RESULT_BYTES_MAX + 4) / (SEALED_PART_BYTES_MAX - SEAL_BYTES));
/** Of each stream: both, and the longest list of files, fit into a result. */
export const STREAM_MIB_MAX = 480;

/** Why a job's files do not come back, in words; null where they do. */
export function filesProblem(
  tree: readonly InputEntry[],
  { stdoutSize, stderrSize }: { stdoutSize: number; stderrSize: number },
): string | null {
  const files = new Map(tree.flatMap((entry) => (entry.kind === "file" ? [[entry.digest, entry.size] as const] : [])));
  const size = files.values().reduce((sum, each) => sum + each, stdoutSize + stderrSize);
  // the list is written out only where it can matter
  const whole = size + (size > RESULT_BYTES_MAX ? 0 : canonicalBytes({ tree, stdoutSize, stderrSize }).length);
  return whole > RESULT_BYTES_MAX ? `the job leaves more than the ${RESULT_BYTES_MAX / MIB} MiB that come back` : null;
}

/** What a broker says that it keeps: the digest over the digests of the parts, in their order. */
export const sealedDigestOf = (crypto: Crypto, digests: readonly string[]): string => toHex(crypto.sha256(utf8(digests.join("\n"))));
