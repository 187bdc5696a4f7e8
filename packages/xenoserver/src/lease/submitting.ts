/** How a lease's documents are handed in, and what their answers are for the fold. Who controls the inputs: the broker (answers). */
import { isTakenLater, zEnvelope, type Envelope } from "@xenoservers/protocol";
import type { LinkAnswer } from "@xenoservers/protocol/link";
import { z } from "zod";
import type { Filed } from "./journal.ts";
import type { LeaseContext } from "./lease-context.ts";

/** The broker's own documents that an answer may carry, in the order in which they follow from what was handed in. */
const zAnswered = z.looseObject({
  at: z.int(),
  opening: z.optional(zEnvelope),
  move: z.optional(zEnvelope),
  receipt: z.optional(zEnvelope),
  delivery: z.optional(zEnvelope),
  closing: z.optional(zEnvelope),
  settlement: z.optional(zEnvelope),
});

/** What the log took with this answer: what was handed in, and what the broker added, all at one time. */
export function filedBy(own: readonly Envelope[], answer: Record<string, unknown>): Filed[] {
  const read = zAnswered.safeParse(answer);
  if (!read.success) return [];
  const { at, opening, move, receipt, delivery, closing, settlement } = read.data;
  return [...own, opening, move, receipt, delivery, closing, settlement].flatMap((envelope) => (envelope ? [{ envelope, at }] : []));
}

/** May pass; or may not. */
const STUMBLED = ["internal", "conflict"];
const STUMBLES_MAX = 5;
const WAIT_FIRST_MS = 1_000;
const WAIT_MAX_MS = 15_000;

/** Asks until the broker has decided, or this daemon goes away. */
export async function surely({ stage, sleep }: Pick<LeaseContext, "stage" | "sleep">, ask: () => Promise<LinkAnswer>): Promise<LinkAnswer> {
  let stumbles = 0;
  for (let waitMs = WAIT_FIRST_MS; ; waitMs = Math.min(waitMs * 2, WAIT_MAX_MS)) {
    const answer = await ask();
    if (answer.ok || stage().is === "released") return answer;
    if (STUMBLED.includes(answer.code)) stumbles++;
    // a broker that cannot hear now decides nothing: a server that goes on asking loses nothing by it
    else if (!isTakenLater(answer.code)) return answer;
    if (stumbles > STUMBLES_MAX) return answer;
    await sleep(waitMs);
  }
}
