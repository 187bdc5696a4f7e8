/**
 * Receipts: everything that proves a lease offline. Its own documents, the public ones that its facts lean on (what gives every signer
 * its role, what ended a key, the fee, gaps, referees, the round of its audit), and where each stands in the log. Who controls the inputs:
 * whoever signed each document, verified when it was filed.
 */
import {
  KIND_TABLE,
  isOfKind,
  parseDocument,
  refuse,
  verifyCheckpoint,
  type Envelope,
  type Kind,
  type LogPage,
  type Receipt,
  type ReceiptDocument,
  type Refusal,
} from "@xenoservers/protocol";
import { auditRevealRow } from "../desk/audit-rounds.ts";
import { credentialsOf, type Credentials } from "../desk/credentials.ts";
import type { Services } from "../desk/round.ts";
import { cosignedHead } from "../log/cosigned.ts";
import { inclusionProofs } from "../log/proofs.ts";
import { readSetting } from "../store/settings.ts";
import type { LeaseRow, StoredDocument } from "../store/store.ts";

/** Of a receipt in one piece: five hours and a half of claims, 12 MB of an answer. */
const WHOLE_DOCUMENTS_MAX = 4_000;
/** A part ends where its documents are longer together, in characters of what was signed. */
const PART_CHARACTERS_MAX = 4 * 1024 * 1024;

type Head = Pick<Receipt, "checkpoint" | "size">;

/** Which part of a receipt is asked for. */
interface PartAsked {
  limit: number;
  /** Of the log; absent: as it stands. */
  size?: number | undefined;
  /** Without claims and their receipts. */
  brief: boolean;
}

/** The first of them, one at least. */
function shortened(documents: readonly StoredDocument[]): StoredDocument[] {
  let characters = 0;
  const end = documents.findIndex(({ envelope }, i) => (characters += envelope.payload.length) > PART_CHARACTERS_MAX && i > 0);
  return documents.slice(0, end < 0 ? documents.length : end);
}

export class Receipts {
  readonly #services: Services;
  readonly #credentials: Credentials;

  constructor(services: Services) {
    this.#services = services;
    this.#credentials = credentialsOf(services);
  }

  /** All of it; null where that is more than one answer holds. */
  async of(lease: LeaseRow, most = WHOLE_DOCUMENTS_MAX): Promise<Receipt | null> {
    const documents = await this.#services.store.documentsAfter(lease.id, null, most + 1);
    if (documents.length > most) return null;
    const leaves = await this.#leavesOf(lease, documents, await this.#gapsOf(lease), true);
    return this.#receiptOf(lease, documents, leaves, await this.#proofs([...documents, ...leaves]));
  }

  /** At most so many documents after that one, and the public ones that they lean on, under the checkpoint of the first part. */
  async partOf(lease: LeaseRow, after: StoredDocument | null, { limit, size, brief }: PartAsked): Promise<Receipt | Refusal> {
    const { store } = this.#services;
    const found = await store.documentsAfter(lease.id, after?.id ?? null, limit + 1, brief);
    const documents = shortened(found.slice(0, limit));
    const hasMore = documents.length < found.length;
    const [from, to] = [after?.at ?? -1, hasMore ? (documents.at(-1)?.at ?? 0) : Infinity];
    const gaps = await this.#gapsOf(lease, from, to);
    const leaves = await this.#leavesOf(lease, documents, gaps, !hasMore);
    const all = [...documents, ...leaves];
    const claims = size === undefined && (hasMore || brief) ? { claims: lease.lastClaim?.sequence ?? 0 } : {};
    if (size === undefined && !hasMore) return { ...this.#receiptOf(lease, documents, leaves, await this.#proofs(all)), ...claims };
    const head = size === undefined ? await this.#headOver(lease) : await store.logHead();
    if ((size ?? 0) > (head?.size ?? 0)) return refuse("conflict", { why: "the log is another one by now: ask for the first part again" });
    const under = { checkpoint: head?.checkpoint ?? "", size: size ?? head?.size ?? 0 };
    return {
      ...this.#receiptOf(lease, documents, leaves, { ...under, proved: await this.#provedAt(all, under.size) }),
      hasMore,
      ...claims,
    };
  }

  #receiptOf(
    { id: lease }: LeaseRow,
    documents: readonly StoredDocument[],
    leaves: readonly StoredDocument[],
    { checkpoint, size, proved }: { checkpoint: string; size: number; proved: ReceiptDocument[] },
  ): Receipt {
    const { market } = this.#services;
    const own = documents.length;
    return {
      ...{ format: "xenoservers-receipt-1", lease, market },
      ...{ documents: proved.slice(0, own), leaves: proved.slice(own, own + leaves.length), checkpoint, size },
    };
  }

  /** A part of it, for who folds it: after that document of it, at most so many. */
  async logOf(lease: LeaseRow, after: StoredDocument | null, limit: number): Promise<LogPage> {
    const found = await this.#services.store.documentsAfter(lease.id, after?.id ?? null, limit + 1);
    const documents = found.slice(0, limit);
    const hasMore = found.length > limit;
    const roles = (await this.#credentials.withEnds(documents.map(({ envelope }) => envelope))).sort((a, b) => a.at - b.at);
    const [from, to] = [after?.at ?? -1, hasMore ? (documents.at(-1)?.at ?? 0) : Infinity];
    const gaps = (await this.#gapsOf(lease)).filter(({ at }) => at > from && at <= to);
    const logged = ({ id, kind, envelope, at }: StoredDocument) => ({ id, kind, envelope, at });
    return { documents: documents.map(logged), leaves: [...roles, ...gaps].map(logged), hasMore };
  }

  /** The public documents that these of the lease's facts lean on, in the order of their filing. `isLast`: no documents come after them. */
  async #leavesOf(
    lease: LeaseRow,
    documents: readonly StoredDocument[],
    gaps: readonly StoredDocument[],
    isLast: boolean,
  ): Promise<StoredDocument[]> {
    const [credentials, ...others] = await Promise.all([
      this.#credentials.withEnds(documents.map(({ envelope }) => envelope)),
      this.#feesOf(documents),
      gaps,
      isLast ? this.#auditOf(lease) : [],
      this.#refereesOf(documents),
    ]);
    const known = new Set(documents.map(({ id }) => id));
    const all = new Map([...credentials, ...others.flat()].map((document) => [document.id, document]));
    return [...all.values()].filter(({ id }) => !known.has(id)).sort((a, b) => a.at - b.at);
  }

  async #stored(ids: readonly string[]): Promise<StoredDocument[]> {
    return (await Promise.all(ids.map((id) => this.#services.store.document(id)))).filter((document) => document !== null);
  }

  /** The operator's announcements of the fee, as they stand inside purchase orders. */
  async #feesOf(documents: readonly StoredDocument[]): Promise<StoredDocument[]> {
    const { crypto } = this.#services;
    const fees = documents.flatMap(({ envelope }): Envelope[] => {
      const parsed = parseDocument(crypto, envelope);
      return parsed.ok && isOfKind(parsed.document, "purchase-order") ? [parsed.document.payload.fee ?? []].flat() : [];
    });
    const ids = fees.flatMap((envelope) => {
      const parsed = parseDocument(crypto, envelope);
      return parsed.ok ? [parsed.document.id] : [];
    });
    return this.#stored([...new Set(ids)]);
  }

  /**
   * The gaps that the lease has lived through: each stretches its deadlines. One that is over lives through no more. Of a part: those that
   * ended after `after`, and no later than `until`.
   */
  async #gapsOf({ issuedAt, state, gaps: lived }: LeaseRow, after = -1, until = Infinity): Promise<StoredDocument[]> {
    const all = readSetting("gaps", (await this.#services.store.load("setting", ["gaps"])).get("gaps"));
    const over = state === "final" || state === "lapsed";
    const own = all.filter(({ from, to }) => (over ? lived.some((gap) => gap.from === from) : to > issuedAt));
    return this.#stored(own.filter(({ to }) => to > after && to <= until).map(({ id }) => id));
  }

  /** The round that its result was drawn in, and the secret of it once it is shown. */
  async #auditOf({ end }: LeaseRow): Promise<StoredDocument[]> {
    if (!end?.auditRound) return [];
    const id = auditRevealRow(end.auditRound);
    const reveal = readSetting("auditReveal", (await this.#services.store.load("setting", [id])).get(id));
    return this.#stored([end.auditRound, ...(reveal === null ? [] : [reveal])]);
  }

  /** Who could be drawn to judge: all that the operator has said of referees, and whose servers they are. */
  async #refereesOf(documents: readonly StoredDocument[]): Promise<StoredDocument[]> {
    const { crypto, store } = this.#services;
    if (!documents.some(({ kind }) => kind === "draw" || kind === "verdict")) return [];
    const named = await store.documentsOfKind("referee");
    const ids = named.flatMap(({ envelope }) => {
      const parsed = parseDocument(crypto, envelope);
      return parsed.ok && isOfKind(parsed.document, "referee") ? [parsed.document.payload.server] : [];
    });
    const servers = await store.load("server", [...new Set(ids)]);
    return [...(await this.#credentials.ofKeys([...servers.values()].map(({ data }) => data.key))), ...named];
  }

  /**
   * Where each document stands in the log: under the checkpoint that witnesses have cosigned, when that covers all of them, or else under
   * the latest.
   */
  async #proofs(documents: readonly StoredDocument[]): Promise<{ checkpoint: string; size: number; proved: ReceiptDocument[] }> {
    const { latest, cosigned } = await this.#heads();
    if (cosigned) {
      const proved = await this.#provedAt(documents, cosigned.size);
      if (proved.every(({ index }) => index !== null)) return { ...cosigned, proved };
    }
    return { ...latest, proved: await this.#provedAt(documents, latest.size) };
  }

  /** The latest checkpoint, and the last one of the same log that witnesses have cosigned. */
  async #heads(): Promise<{ latest: Head; cosigned: Head | null }> {
    const { store, crypto, keys } = this.#services;
    const [latest, cosigned] = await Promise.all([store.logHead(), cosignedHead(this.#services)]);
    const origin = latest && verifyCheckpoint(crypto, keys.checkpoints.publicKey, latest.checkpoint)?.origin;
    return {
      latest: { checkpoint: latest?.checkpoint ?? "", size: latest?.size ?? 0 },
      cosigned: cosigned && cosigned.origin === origin ? { checkpoint: cosigned.note, size: cosigned.size } : null,
    };
  }

  /** The one that witnesses have cosigned, where the lease's last document, and so each before it, is under it; or else the latest. */
  async #headOver({ id }: LeaseRow): Promise<Head> {
    const { store } = this.#services;
    const [{ latest, cosigned }, last] = await Promise.all([this.#heads(), store.lastDocumentOf(id)]);
    const index = last && (await store.logIndexesOf([last.leaf])).get(last.leaf);
    return cosigned && typeof index === "number" && index < cosigned.size ? cosigned : latest;
  }

  async #provedAt(documents: readonly StoredDocument[], size: number): Promise<ReceiptDocument[]> {
    const { store, crypto } = this.#services;
    const proofs = await inclusionProofs(
      store,
      crypto,
      documents.map(({ leaf }) => leaf),
      size,
    );
    return documents.map(({ id, kind, envelope, at, salt, leaf }) => {
      const { index = null, proof = [] } = proofs.get(leaf) ?? {};
      return { kind, id, envelope, at, salt: isPublic(kind) ? "" : salt, leaf, index, proof };
    });
  }
}

const isPublic = (kind: Kind): boolean => KIND_TABLE[kind].public;
