/**
 * The table of lines: of what each line of a verification speaks, and by which rules of docs/protocol.md. One place: what a line rests on
 * follows from it (`standing.ts`), and so does where a fact that is not taken is told (`told.ts`).
 */
import { FACT_KINDS, type FactKind } from "@xenoservers/market";

/** The lines that rest on the fold, in order; each rests on those before it. */
export const CHECKS = ["purchase order", "opening", "use", "result", "bill", "dispute", "verdict", "audit"] as const;
export type Check = (typeof CHECKS)[number];

/** Where each kind of fact is spoken of. */
export const CHECK_OF: Readonly<Record<FactKind, Check>> = {
  ...{ "purchase-order": "purchase order", acceptance: "opening", opening: "opening" },
  ...{ claim: "use", "claim-receipt": "use", stop: "use", extension: "use", amendment: "use", gap: "use", takeover: "use", move: "use" },
  ...{ commitment: "result", reveal: "result", result: "result", delivery: "result" },
  ...{ closing: "bill", settlement: "bill", objection: "dispute", ruling: "dispute" },
  ...{ "trace-request": "dispute", trace: "dispute", dispute: "dispute", draw: "dispute" },
  ...{ verdict: "verdict", appeal: "verdict", review: "verdict" },
};

/** Facts that later lines speak of, and by which these are computed, too. */
const ALSO: Readonly<Partial<Record<Check, readonly FactKind[]>>> = {
  // a gap stretches the time to accept
  opening: ["gap"],
  // the fuel is the result's
  use: ["result"],
};

/** The facts that a line is computed from, beside those of the lines before it. */
export const factsOfLine = (check: Check): readonly FactKind[] => [
  ...FACT_KINDS.filter((kind) => CHECK_OF[kind] === check),
  ...(ALSO[check] ?? []),
];

/** Lines of what seldom is: they stand only where there is something of it to say. */
export const SELDOM: readonly Check[] = ["dispute", "verdict", "audit"];

/** By numbers of docs/protocol.md; rule V2 holds for each from the purchase order on. */
export const RULES: Readonly<Record<Check | "file" | "signatures" | "log", readonly string[]>> = {
  file: ["V1", "V5"],
  signatures: ["D1", "D5", "V3"],
  log: ["G1", "G2", "L13", "V5", "V6"],
  "purchase order": ["L2", "M2", "M4", "V1"],
  opening: ["L3", "T1"],
  use: ["L4", "L5", "L6", "L17", "M3", "V3"],
  result: ["L7", "L8", "L9", "L15", "V4"],
  bill: ["L10", "L11", "M2", "M3", "B1"],
  dispute: ["M5", "M6", "R1"],
  verdict: ["M6", "M7", "V4"],
  audit: ["A1", "A2", "A3", "A5"],
};
