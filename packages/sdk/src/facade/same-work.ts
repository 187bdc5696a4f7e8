/** Whether two jobs are the same work: by what is to run, never by when, where, and what it draws at random. */
import { canonicalBytes, toHex, type Crypto, type Json } from "@xenoservers/protocol";
import type { BuiltWork } from "../built.ts";
import type { Planned } from "./here.ts";

/** What differs from one order to the next of the same work. */
const ITS_OWN: ReadonlySet<string> = new Set(["seed", "clockBaseMs", "engine"]);
/** Of no server: what is left out of the digest. */
export const ANY_OFFER = { engine: "", vmEngine: "any" };

/** Of a specification, without what is each order's own. */
export function workDigest(crypto: Pick<Crypto, "sha256">, spec: BuiltWork["spec"]): string {
  const same = Object.entries(spec).filter(([key]) => !ITS_OWN.has(key));
  return toHex(crypto.sha256(canonicalBytes(Object.fromEntries(same) as Json)));
}

/** Of what was read and is not ordered. */
export const plannedDigest = (crypto: Pick<Crypto, "sha256">, { build }: Pick<Planned, "build">): string =>
  workDigest(crypto, build(ANY_OFFER).spec);
