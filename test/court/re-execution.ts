/** What anyone comes to who runs a job of the court again, as `xeno verify --re-execute` does. */
import { TERMS } from "@xenoservers/market";
import { endRootOf, parseDocumentOf, type Payload } from "@xenoservers/protocol";
import { stoppedAt, type OwnRun } from "@xenoservers/verify";
import type { LeaseRow } from "@xenoservers/xenocorp/parts";
import { run, type CourtJob, type Traced } from "./jobs.ts";
import { crypto, type Room } from "./room.ts";

export async function resultOf(room: Room, { result }: LeaseRow): Promise<Payload<"result"> | null> {
  const stored = result && (await room.store.document(result.id));
  const parsed = stored && parseDocumentOf(crypto, "result", stored.envelope);
  return parsed?.ok ? parsed.document.payload : null;
}

export function runAgain(job: CourtJob, manifest: Payload<"result">, own: Traced | null = null): OwnRun {
  const most = BigInt(job.spec.fuelMax);
  const upTo = stoppedAt(manifest) ?? most;
  const came = { ...run(job, upTo < most ? upTo : most), jobHash: job.jobHash };
  if (!own) return came;
  // of what was stopped the end is compared by what it had written
  const roots = TERMS[manifest.reason].byChance ? own.roots : [...own.roots, endRootOf(crypto, came)];
  return { ...came, rootAt: (part) => roots[part - 1] ?? null };
}
