/**
 * The log's sequencer: takes accepted documents that are visible, gives them dense indexes, extends the Merkle tree, and commits size and
 * root conditionally on the old size before the signed checkpoint is shown to anyone. One at a time: losing the condition means another
 * one works.
 */
import {
  fromHex,
  leafBytes,
  leafHashOf,
  nodeHash,
  rootFrom,
  rootRefs,
  signCheckpoint,
  signDocument,
  toHex,
  type Crypto,
} from "@xenoservers/protocol";
import type { BrokerKeys, MarketConfig } from "../config.ts";
import type { LogHead, Store, StoredDocument } from "../store/store.ts";

const APPEND_MAX = 1024;

export interface LogDesk {
  store: Store;
  crypto: Crypto;
  keys: BrokerKeys;
  config: MarketConfig;
  now(): number;
}

export const logOrigin = (marketOrigin: string, epoch: number): string => `${marketOrigin}/log/${epoch}`;

function headOf({ crypto, keys, config }: LogDesk, epoch: number, size: number, root: string): LogHead {
  return {
    epoch,
    size,
    root,
    checkpoint: signCheckpoint(crypto, keys.checkpoints, { origin: logOrigin(config.origin, epoch), size, root }),
  };
}

/** Starts the first epoch of a new market, or the next one after a restore; the epoch document says which log it follows. */
export async function startEpoch(desk: LogDesk, previous: LogHead | null, reason: string): Promise<void> {
  const { crypto, keys, config, store } = desk;
  const epoch = (previous?.epoch ?? 0) + 1;
  await store.logStartEpoch(headOf(desk, epoch, 0, toHex(rootFrom(crypto, 0, []))));
  const at = desk.now();
  const document = signDocument(crypto, keys.receipts, "epoch", {
    origin: config.origin,
    seen: null,
    epoch,
    previousOrigin: previous ? logOrigin(config.origin, previous.epoch) : null,
    previousSize: previous?.size ?? 0,
    previousRoot: previous?.root ?? null,
    reason,
    at,
  });
  const salt = "";
  const stored: StoredDocument = {
    id: document.id,
    kind: "epoch",
    lease: null,
    parties: [],
    envelope: document.envelope,
    at,
    salt,
    leaf: leafHashOf(crypto, document, at, salt),
  };
  await store.commit([{ id: document.id, answer: {}, uniques: [], puts: [], floors: [], transfers: [], documents: [stored], events: [] }]);
}

/** Appends what is pending; returns how many leaves were added. */
export async function sequence(desk: LogDesk): Promise<number> {
  const { store, crypto } = desk;
  const [head, pending] = await Promise.all([store.logHead(), store.logPending(APPEND_MAX)]);
  if (!head || pending.length === 0) return 0;
  const edge = rootRefs(head.size);
  const edgeHashes = await store.logNodes(edge);
  const known = new Map(edge.map((ref, i) => [`${ref.level}/${ref.index}`, edgeHashes[i]!]));
  const nodes: { level: number; index: number; hash: string }[] = [];
  const add = (level: number, index: number, hash: string): void => {
    known.set(`${level}/${index}`, hash);
    nodes.push({ level, index, hash });
  };
  for (const [i, document] of pending.entries()) {
    add(0, head.size + i, document.leaf);
    for (let level = 0, index = head.size + i; index % 2 === 1; level++, index = (index - 1) / 2) {
      const left = fromHex(known.get(`${level}/${index - 1}`)!)!;
      const right = fromHex(known.get(`${level}/${index}`)!)!;
      add(level + 1, (index - 1) / 2, toHex(nodeHash(crypto, left, right)));
    }
  }
  const size = head.size + pending.length;
  const root = toHex(
    rootFrom(
      crypto,
      size,
      rootRefs(size).map((ref) => fromHex(known.get(`${ref.level}/${ref.index}`)!)!),
    ),
  );
  const leaves = pending.map(({ id, leaf }) => ({ documentId: id, hash: leaf }));
  const appended = await store.logAppend({
    epoch: head.epoch,
    oldSize: head.size,
    leaves,
    nodes,
    head: headOf(desk, head.epoch, size, root),
  });
  return appended ? pending.length : 0;
}

/** The bytes that stand in the log for a stored document. */
export const publishedLeaf = (crypto: Crypto, document: StoredDocument): Uint8Array =>
  leafBytes(crypto, document, document.at, document.salt);
