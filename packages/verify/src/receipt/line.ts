/** What verifying says: short named lines in order, each proved, claimed or failed. */

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

/** What one check comes to. */
export type Said = Omit<Line, "check">;

export const proved = (says: string): Said => ({ status: "proved", says });
export const claimed = (says: string): Said => ({ status: "claimed", says });
export const failed = (says: string): Said => ({ status: "failed", says });

/** The first of these that is not so, as what is wrong; null when all are. */
export const firstWrong = (checks: readonly (readonly [right: boolean, why: string])[]): string | null =>
  checks.find(([right]) => !right)?.[1] ?? null;
