/**
 * Who judges a doubted result: drawn by a rule over public documents, so that neither party and no operator chooses. The seed is the id of
 * the lease's settlement, which the broker signs after the result; who can be drawn are the referees that the operator had named by then,
 * without those of the accused owner and of the customer. Who controls the inputs: the operator (who is a referee), the broker (the
 * settlement).
 */
import { TERMS, type EndReason } from "./lease/terms.ts";

/** Of the operator, in the log's order: the server is a referee from then on, or is none any more. */
export interface RefereeStatement {
  server: string;
  active: boolean;
  /** Log time. */
  at: number;
}

/** So many at once: the seed orders all of them without bias. */
export const REFEREES_MAX = 32;

/** The servers that were referees just before this log time, sorted. */
export function refereesAt(statements: readonly RefereeStatement[], at: number): string[] {
  const last = new Map(statements.filter((said) => said.at < at).map(({ server, active }) => [server, active]));
  return [...last].flatMap(([server, active]) => (active ? [server] : [])).sort();
}

/** Of these referees, those that are nobody's own in this lease. `ownerOf`: null where it is not known. */
export function impartial(
  referees: readonly string[],
  ownerOf: (server: string) => string | null,
  { owner, customer }: { owner: string; customer: string },
): string[] {
  return referees.filter((server) => {
    const own = ownerOf(server);
    return own !== null && own !== owner && own !== customer;
  });
}

/**
 * The referee of a round, counted from 1; null where all have had theirs. The seed, a hash in hex, read as a number in a base that falls
 * by one with each round: every order of the candidates is as likely as any other, and each has one round.
 */
export function drawReferee(seed: string, candidates: readonly string[], round: number): string | null {
  const left = [...candidates];
  let number = BigInt(`0x${seed}`);
  for (let turn = 1; left.length > 0; turn++) {
    const base = BigInt(left.length);
    const [drawn] = left.splice(Number(number % base), 1);
    if (turn === round) return drawn ?? null;
    number /= base;
  }
  return null;
}

/** Whether a judging lease that ended so was failed by its referee, or by the broker: only then another is drawn. */
export const refereeFailed = (reason: EndReason): boolean => TERMS[reason].blame === "owner" || TERMS[reason].blame === "broker";
