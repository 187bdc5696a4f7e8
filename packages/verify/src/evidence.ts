/**
 * Evidence that convicts a broker on a machine that never saw the market: two checkpoints of one log, signed by the same key, of the same size and
 * with different roots. Who controls the input: whoever hands over the file; the signatures decide.
 */
import { EVIDENCE_FORMAT, verifyCheckpoint, zEvidence, type Crypto, type Evidence } from "@xenoservers/protocol";
import type { Line, Verification } from "./receipt.ts";

/** The two notes as evidence, or null where they do not contradict each other. */
export function packFork(crypto: Crypto, key: string, first: string, second: string): Evidence | null {
  const [a, b] = [verifyCheckpoint(crypto, key, first), verifyCheckpoint(crypto, key, second)];
  if (!a || !b || a.origin !== b.origin || a.size !== b.size || a.root === b.root) return null;
  return { format: EVIDENCE_FORMAT, kind: "fork", key, first, second };
}

export const isEvidence = (untrusted: unknown): boolean => (untrusted as { format?: unknown } | null)?.format === EVIDENCE_FORMAT;

/** `pinned`: the log key this machine trusts, when it knows the market. */
export function verifyEvidence(crypto: Crypto, untrusted: unknown, pinned: string | null): Verification {
  const parsed = zEvidence.safeParse(untrusted);
  if (!parsed.success)
    return { ok: false, lines: [{ status: "failed", check: "file", says: `this is not evidence: ${parsed.error.issues[0]?.path.join(".")}` }] };
  const { key, first, second } = parsed.data;
  const lines: Line[] = [];
  const whose = pinned === key ? "the market you are logged in to" : `the log key ${key.slice(0, 16)}…`;
  const fork = packFork(crypto, key, first, second);
  lines.push(
    fork
      ? {
          status: "proved",
          check: "fork",
          says: `${whose} signed two different logs of ${verifyCheckpoint(crypto, key, first)!.size} leaves under one name: its broker cheats`,
        }
      : { status: "failed", check: "fork", says: "the two checkpoints do not contradict each other, or one is not signed by that key" },
  );
  return { ok: fork !== null, lines };
}
