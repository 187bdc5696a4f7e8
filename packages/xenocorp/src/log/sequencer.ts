/**
 * The log's sequencer: takes accepted documents that are visible, gives them dense indexes, extends the Merkle tree, and commits size and
 * root conditionally on the old size before the signed checkpoint is shown to anyone. One at a time: losing the condition means another
 * one works.
 */
import {
  fromHex,
  leafBytes,
  leafHashOf,
  logOrigin,
  nodeHash,
  rootFrom,
  rootRefs,
  signCheckpoint,
  signDocument,
  toHex,
  type Crypto,
  type LogState,
} from "@xenoservers/protocol";
import type { BrokerKeys, MarketConfig } from "../config.ts";
import type { LogHead, LogPlace, LoggedDocument, Store } from "../store/store.ts";
import type { LogView } from "./log-view.ts";

const APPEND_MAX = 1024;
const EPOCH_BYTES = 16;

export interface LogDesk {
  store: Store;
  crypto: Crypto;
  keys: BrokerKeys;
  config: MarketConfig;
  log: LogView;
  now(): number;
  /** The right to sign checkpoints now; null: another broker has it. Absent: there is no other. */
  place?(): Promise<LogPlace | null>;
}

function signed({ crypto, keys, config }: LogDesk, head: Omit<LogHead, "checkpoint">): LogHead {
  const { id, size, root } = head;
  return { ...head, checkpoint: signCheckpoint(crypto, keys.checkpoints, { origin: logOrigin(config.origin, id), size, root }) };
}

const stateOf = ({ id: epoch, size, root }: LogHead): LogState => ({ epoch, size, root });

/**
 * Starts the first epoch of a new market, or the next one after a restore, under a name that no other epoch has. Its first leaf says which
 * log it follows and how much of it.
 */
export async function startEpoch(desk: LogDesk, previous: LogHead | null, reason: string): Promise<void> {
  const { crypto, keys, config, store, log } = desk;
  const id = toHex(crypto.randomBytes(EPOCH_BYTES));
  const head = signed(desk, { epoch: (previous?.epoch ?? 0) + 1, id, size: 0, root: toHex(rootFrom(crypto, 0, [])) });
  log.begin(head);
  const at = desk.now();
  const document = signDocument(crypto, keys.receipts, "epoch", {
    ...{ origin: config.origin, seen: log.seen, epoch: id, previous: previous && stateOf(previous), reason, at },
  });
  const leaf = leafHashOf(crypto, document, at, "");
  const { envelope } = document;
  await store.logStartEpoch(head, { id: document.id, kind: "epoch", lease: null, parties: [], envelope, at, salt: "", leaf });
}

/** Goes on in the log as it stands, or begins it, once however many brokers begin together. */
export async function openLog(desk: LogDesk, reason: string): Promise<void> {
  let head = await desk.store.logHead();
  if (!head)
    await startEpoch(desk, null, reason).catch(async (error: unknown) => {
      head = await desk.store.logHead();
      if (!head) throw error;
    });
  if (head) desk.log.begin(head);
}

/** Appends what is pending; returns how many leaves were added. Throws SigningStopped where the log is not the one that was seen. */
export async function sequence(desk: LogDesk): Promise<number> {
  const { store, crypto } = desk;
  const { known: seen } = desk.log;
  const [head, pending] = await Promise.all([store.logHead(), store.logPending(APPEND_MAX)]);
  desk.log.see(head, seen);
  if (!head || pending.length === 0) return 0;
  const place = await desk.place?.();
  if (place === null) return 0;
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
  const next = signed(desk, { epoch: head.epoch, id: head.id, size, root });
  const appended = await store.logAppend({ epoch: head.epoch, oldSize: head.size, leaves, nodes, head: next, ...(place ? { place } : {}) });
  return appended ? pending.length : 0;
}

/** The bytes that stand in the log for a stored document. */
export const publishedLeaf = (crypto: Crypto, document: LoggedDocument): Uint8Array =>
  leafBytes(crypto, document, document.at, document.salt);
