/** The log: appended on one condition only, and begun anew with an epoch. */
import { invariant } from "@xenoservers/market";
import type { LogAppend, Store } from "../store.ts";
import type { Tables } from "./tables.ts";

type Log = Pick<Store, "logHead" | "logHeads" | "logPending" | "logAppend" | "logNodes" | "logIndexesOf" | "logEntries" | "logStartEpoch">;

function there<T>(value: T | undefined, what: string): T {
  invariant(value !== undefined, `${what} is missing`);
  return value;
}

function append(tables: Tables, { epoch, oldSize, leaves, nodes, head }: LogAppend): boolean {
  if (tables.head?.epoch !== epoch || tables.head.size !== oldSize) return false;
  for (const { hash, documentId } of leaves) {
    tables.leafIndex.set(hash, tables.log.length);
    tables.log.push({ hash, documentId });
  }
  for (const { level, index, hash } of nodes) tables.nodes.set(`${level}/${index}`, hash);
  const appended = new Set(leaves.map((leaf) => leaf.documentId));
  tables.pending = tables.pending.filter((document) => !appended.has(document.id));
  tables.head = head;
  return true;
}

export const memoryLog = (tables: Tables): Log => ({
  logHead: async () => tables.head,
  logHeads: async () => [...tables.earlier.map(({ head }) => head), ...(tables.head ? [tables.head] : [])],
  logPending: async (limit) => tables.pending.slice(0, limit),
  logAppend: async (next) => append(tables, next),
  async logNodes(refs, epoch) {
    const nodes = tables.earlier.find(({ head }) => head.epoch === epoch)?.nodes ?? tables.nodes;
    return refs.map(({ level, index }) => there(nodes.get(`${level}/${index}`), "a node of the log"));
  },
  logIndexesOf: async (leaves) =>
    new Map(
      leaves.flatMap((leaf): [string, number][] => {
        const index = tables.leafIndex.get(leaf);
        return index === undefined ? [] : [[leaf, index]];
      }),
    ),
  async logEntries(from, to) {
    return tables.log.slice(from, to).map(({ documentId }) => there(tables.documents.get(documentId), "a document of the log"));
  },
  async logStartEpoch(head, first) {
    invariant(tables.head?.epoch !== head.epoch, "an epoch begins once");
    if (tables.head) tables.earlier.push({ head: tables.head, nodes: tables.nodes });
    const pending = [first, ...tables.documents.values()];
    tables.documents.set(first.id, first);
    Object.assign(tables, { head, pending, log: [], nodes: new Map(), leafIndex: new Map() });
  },
});
