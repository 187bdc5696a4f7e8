/** What the queries of the rooms beside have in common. Those of more than a line stand in files of their own. */
import { readFileSync } from "node:fs";
import { LIVE_STATES, invariant } from "@xenoservers/market";
import type { Envelope, Kind } from "@xenoservers/protocol";
import type { Reader } from "../reader.ts";
import type { LoggedDocument } from "../store.ts";

export const sqlOf = (name: string): string => readFileSync(new URL(`./sql/${name}.sql`, import.meta.url), "utf8");

/** States in which money is held. */
export const LIVE: readonly string[] = LIVE_STATES;

/** Of a reader, as lease_seen takes it. */
export const readerValues = ({ party, account, label, serverKey }: Reader) => [party, account, label, serverKey];

export interface DocumentRecord {
  id: string;
  kind: Kind;
  lease: string | null;
  parties: string[];
  envelope: Envelope | null;
  at: string;
  salt: string;
  leaf: string;
}
export function documentOf({ id, kind, lease, parties, envelope, at, salt, leaf }: DocumentRecord): LoggedDocument {
  return { id, kind, lease, parties, envelope, at: Number(at), salt, leaf };
}

/** The row of a query that always has one. */
export function only<T>([row]: readonly T[]): T {
  invariant(row !== undefined, "the query has a row");
  return row;
}
