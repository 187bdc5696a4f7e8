/** The proof that runs all the time: the books balance, and what is held is what the live leases hold. */
import type { BooksProof, Store } from "../store/store.ts";

const heldProblems = ({ held, liveHolds }: Pick<BooksProof, "held" | "liveHolds">): string[] =>
  held === liveHolds ? [] : [`${held} is held, live leases hold ${liveHolds}`];

const balanceProblem = ({ key, balance, sum }: BooksProof["wrong"][number]): string =>
  `balance ${key} is ${balance}, its transfers sum to ${sum}`;

/** What is wrong with what moved since the last proof, in words; empty when nothing is. */
export const proofProblems = (proof: BooksProof): string[] => [...proof.wrong.map(balanceProblem), ...heldProblems(proof)];

/** What is wrong with the books, in words; empty when nothing is. */
export function booksProblems({ balances, sums, liveHolds, held }: Awaited<ReturnType<Store["audit"]>>): string[] {
  const problems: string[] = [];
  let total = 0n;
  for (const [key, amount] of balances) {
    total += amount;
    const moved = sums.get(key) ?? 0n;
    if (moved !== amount) problems.push(balanceProblem({ key, balance: amount, sum: moved }));
  }
  if (total !== 0n) problems.push(`all balances together are ${total} instead of 0`);
  return [...problems, ...heldProblems({ held, liveHolds })];
}
