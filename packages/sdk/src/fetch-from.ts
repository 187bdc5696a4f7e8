/** What anyone may read of a market, from whichever of its addresses answers. */
import { Addresses } from "@xenoservers/protocol";
import { ask, type Answer, type Question } from "@xenoservers/protocol/system";

/** Whoever says nothing for so long does not answer: Node's own HTTP would wait for ever. */
const ANSWERS_WITHIN_MS = 60_000;

/** `url`: one or several addresses of the market. */
export const fetchFrom = (url: string, path: string, question: Question = {}): Promise<Answer> =>
  new Addresses(url).first((address) => ask(new URL(path, address), { signal: AbortSignal.timeout(ANSWERS_WITHIN_MS), ...question }));
