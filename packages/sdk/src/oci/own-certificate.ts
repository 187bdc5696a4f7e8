/**
 * Which of several certificates a registry takes: engines choose by the authorities that it names, which Node does not tell, so each is
 * shown at its top, in the order of their names. Who controls the inputs: the registry.
 */
import { ask, type Asker } from "./asking.ts";
import type { Certificates, OwnCertificate } from "./registry-certificates.ts";

/** What front doors answer to whoever shows none that they take: nginx the last two, as 400 to the asker. */
const NOT_TAKEN: ReadonlySet<number> = new Set([400, 403, 495, 496]);

async function isTaken(top: URL, asker: Asker): Promise<boolean> {
  try {
    const answer = await ask(top, { headers: {} }, asker);
    answer.drop();
    return !NOT_TAKEN.has(answer.status);
  } catch {
    return false;
  }
}

/** The first where none is taken: what is wrong is said of that. */
export async function ownCertificate(origin: string, { ca, own }: Certificates, asker: Asker): Promise<OwnCertificate | undefined> {
  if (own.length > 1)
    for (const each of own) if (await isTaken(new URL("/v2/", origin), { ...asker, secured: async () => ({ ca, ...each }) })) return each;
  return own[0];
}
