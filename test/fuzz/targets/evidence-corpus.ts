/** Evidence of every kind that stands, against the people of a story. */
import {
  EVIDENCE_FORMAT,
  leafHash,
  signDocument,
  signPromise,
  toBase64,
  toHex,
  type Envelope,
  type MarketHistory,
} from "@xenoservers/protocol";
import { nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { packBrokenPromise, packContradiction, packFork, packLoss, type Packing } from "@xenoservers/verify";
import { PaperEpoch, historyOf } from "../../../packages/verify/src/testing/log-paper.ts";
import type { Story } from "../../../packages/verify/src/testing/stories.ts";

function soldTwice({ cast, play }: Story, { keySets }: MarketHistory): object {
  const { orders } = cast.signers;
  const [po, opening] = [play.of("purchase-order").document, play.of("opening").document];
  const other = signDocument(crypto, orders, "purchase-order", { ...po.payload, attempt: 2 });
  const second = signDocument(crypto, orders, "opening", { ...opening.payload, lease: other.id });
  return {
    ...{ format: EVIDENCE_FORMAT, kind: "sold-twice", keySets, epochs: [] },
    documents: [po, opening, other, second].map(({ envelope }) => envelope),
  };
}

/** Of two epochs: where the earlier document stands in its log is part of it. */
function acrossEpochs({ cast, play }: Story, history: MarketHistory, [first, second]: readonly [Envelope, Envelope]): object {
  const log = new PaperEpoch(cast, "e1", null);
  const { document } = play.of("claim", "claim 1");
  log.log(document);
  const grants = play.filed.filter(({ isLeaf, isAside }) => isLeaf && !isAside).map((filed) => filed.document.envelope);
  const { keySets, epochs } = history;
  return {
    ...{ format: EVIDENCE_FORMAT, kind: "contradiction", keySets, epochs: epochs.map(({ envelope }) => envelope) },
    ...{ first, second, grants, place: log.place(document) },
  };
}

export function evidenceOf(story: Story): object[] {
  const { cast, play } = story;
  const { pins, signers } = cast;
  const grants = play.filed.filter(({ isLeaf, isAside }) => isLeaf && !isAside).map(({ document }) => document.envelope);
  const packing = (epochs: readonly PaperEpoch[]): Packing => ({ crypto, market: pins, history: historyOf(cast, epochs) });
  const claim = play.of("claim", "claim 1").document;
  const lie = signDocument(crypto, signers.server, "claim", { ...claim.payload, usedMs: 5 }).envelope;
  const log = new PaperEpoch(cast, "e1", null);
  const fork = [log.note(1), log.note(1, signers.checkpoints, "bb".repeat(32))] as const;
  const gone = toHex(leafHash(crypto, new Uint8Array([1])));
  const promise = signPromise(signers.receipts, { origin: pins.origin, epoch: log.id, size: 1, leaf: gone, mergeBy: 1_500 });
  for (let i = 0; i < 4; i++) log.filler(2_000 + i, `${i}`);
  const next = new PaperEpoch(cast, "e2", log.state(2));
  const all = [
    packContradiction(packing([]), [claim.envelope, lie], grants),
    packFork(packing([]), ...fork),
    packBrokenPromise(packing([]), promise, log.note(), log.bytes, toBase64),
    packLoss(packing([log, next]), log.note(), next.document.envelope),
    soldTwice(story, historyOf(cast, [])),
    acrossEpochs(story, historyOf(cast, [log, next]), [claim.envelope, lie]),
  ];
  return all.map((each) => {
    if (!each) throw new Error("a piece of evidence shows nothing");
    return each;
  });
}
