/** What verifying says: short named lines in order, each proved, claimed or failed. */
import type { Kind } from "@xenoservers/protocol";

/**
 * Proved: follows from signatures of the party it speaks of, or from arithmetic on such documents. Claimed: one party's word. Failed: it
 * does not hold, or rests on what does not.
 */
export interface Line {
  status: "proved" | "claimed" | "failed";
  check: string;
  says: string;
}

export interface Verification {
  ok: boolean;
  lines: Line[];
}

/** One document under a line. */
export interface Rest {
  kind: Kind;
  /** Null: the receipt does not hold it. */
  id: string | null;
  /** The role that its signer has for it. */
  by: string;
  /** Its place in the log; null: it has none there. */
  index: number | null;
  /** Whether it is there to give a signer its role. */
  grant: boolean;
}

/** One number of a line: what it is of, and how it was come by. */
export interface Sum {
  what: string;
  is: string;
  how: string;
}

/** A line about a receipt, with what it is computed from. */
export interface ReceiptLine extends Line {
  /** Numbers of docs/protocol.md. */
  rules: readonly string[];
  /** Its own documents; it rests on those of the lines before it, too. */
  documents: readonly Rest[];
  computed: readonly Sum[];
}

/** Whose lease a receipt is of, by its purchase order; full ids. */
export interface Whose {
  market: string;
  customer: string;
  owner: string;
  server: string;
  /** Whether the verifier, who says who it is, ordered it or owns its server. */
  yours: { order: boolean; offer: boolean };
}

export interface ReceiptVerification extends Verification {
  lines: ReceiptLine[];
  /** Null where no purchase order holds. */
  whose: Whose | null;
}

/** What one check comes to. */
export type Said = Omit<Line, "check">;

export const proved = (says: string): Said => ({ status: "proved", says });
export const claimed = (says: string): Said => ({ status: "claimed", says });
export const failed = (says: string): Said => ({ status: "failed", says });

/** The first of these that is not so, as what is wrong; null when all are. */
export const firstWrong = (checks: readonly (readonly [right: boolean, why: string])[]): string | null =>
  checks.find(([right]) => !right)?.[1] ?? null;
