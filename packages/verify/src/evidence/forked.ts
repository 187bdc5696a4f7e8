/** Two different logs under one name (rule E3): in two checkpoints, or in one and in what the epoch that follows says of it. */
import type { Crypto, EvidenceOf, MarketPins } from "@xenoservers/protocol";
import { checkpointBy, epochsOf } from "./epochs.ts";
import { citedCheckpoint, citedDocument, marketsRole, type Cited, type Finding } from "./finding.ts";

/** What was signed of a log of one size. */
interface Statement {
  epoch: string;
  size: number;
  root: string;
  cited: Cited;
}

function statementIn(crypto: Crypto, markets: readonly MarketPins[], signed: string | object): Statement | null {
  if (typeof signed === "string") {
    const found = checkpointBy(crypto, markets, signed);
    if (!found) return null;
    const { size, root } = found.checkpoint;
    return { epoch: found.epoch, size, root, cited: citedCheckpoint(root, found.key) };
  }
  const [document] = epochsOf(crypto, markets, [signed]).values();
  const previous = document?.payload.previous;
  return document && previous ? { ...previous, cited: citedDocument(document, marketsRole(markets, document.keyid)) } : null;
}

export function forked(
  crypto: Crypto,
  { first, second }: Pick<EvidenceOf<"fork">, "first" | "second">,
  markets: readonly MarketPins[],
): Finding | null {
  const [a, b] = [statementIn(crypto, markets, first), statementIn(crypto, markets, second)];
  if (!a || !b || a.epoch !== b.epoch || a.size !== b.size || a.root === b.root) return null;
  const says = `the broker signed two different logs of ${a.size} leaves under one name: it cheats`;
  return { rule: "E3", says, documents: [a.cited, b.cited], only: null };
}
