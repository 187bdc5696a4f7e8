/**
 * A lease's documents as a script: who says what, when, resting on which others. Played honestly it gives a real receipt; played again
 * with some keys held by a forger, everything these keys sign follows from what was changed, and everything else stays as it was
 * honestly signed.
 */
import { isFactKind } from "@xenoservers/market";
import {
  KIND_TABLE,
  leafHashOf,
  fromHex,
  logOrigin,
  signCheckpoint,
  signDocument,
  toHex,
  utf8,
  type AnyDocument,
  type Kind,
  type Payload,
  type Receipt,
  type ReceiptDocument,
} from "@xenoservers/protocol";
import { BROKER, type Cast, type KeyName } from "./cast.ts";
import { smallLog } from "./merkle.ts";
import { Rng } from "./rng.ts";

/** The one epoch that these markets' logs have. */
export const EPOCH = "e1".repeat(16);
const SEEN = { epoch: EPOCH, size: 0, root: "00".repeat(32) };

export type Said<K extends Kind> = Omit<Payload<K>, "origin" | "seen">;
export type Edit = Readonly<Record<string, unknown>>;

/** One document of a script. */
export interface Part {
  label: string;
  kind: Kind;
  by: KeyName;
  at: number;
  isLeaf: boolean;
  /** Embedded or rested on, and in no receipt of this lease. */
  isAside: boolean;
  /** Signs it as things stand in this play; throws where the edit is not of the kind's schema. */
  make(play: Play, by: KeyName, at: number, edit: Edit): AnyDocument;
}

/** A document as the log has it. */
export interface Filed {
  label: string;
  by: KeyName;
  document: AnyDocument;
  at: number;
  salt: string;
  isLeaf: boolean;
  isAside: boolean;
  /** Not in the log yet. */
  isPending: boolean;
}

/** What has been said so far. */
export class Play {
  readonly filed: Filed[] = [];

  find(label: string): Filed | null {
    return this.filed.find((each) => each.label === label) ?? null;
  }

  of<K extends Kind>(kind: K, label: string = kind): { document: Extract<AnyDocument, { kind: K }>; at: number } {
    const found = this.find(label);
    if (!found || !isOfKind(found.document, kind)) throw new Error(`no ${label} was said`);
    return { document: found.document, at: found.at };
  }

  has(kind: Kind): boolean {
    return this.filed.some(({ document }) => document.kind === kind);
  }

  all<K extends Kind>(kind: K): { document: Extract<AnyDocument, { kind: K }>; at: number }[] {
    return this.filed.flatMap(({ document, at }) => (isOfKind(document, kind) ? [{ document, at }] : []));
  }
}

export const isOfKind = <K extends Kind>(document: AnyDocument, kind: K): document is Extract<AnyDocument, { kind: K }> =>
  document.kind === kind;

export class Script {
  readonly cast: Cast;
  readonly rng: Rng;
  readonly parts: Part[] = [];
  /** Log time: never goes back. */
  now = 1_700_000_000_000;

  constructor(cast: Cast, rng: Rng) {
    this.cast = cast;
    this.rng = rng;
  }

  say<K extends Kind>(
    by: KeyName,
    kind: K,
    payload: (play: Play, at: number) => Said<K>,
    { label = kind, at = this.now, isAside = false }: { label?: string; at?: number; isAside?: boolean } = {},
  ): void {
    const { crypto, pins, signers } = this.cast;
    this.now = Math.max(this.now, at);
    this.parts.push({
      ...{ label, kind, by, at, isAside, isLeaf: kind === "gap" || (KIND_TABLE[kind].public && !isFactKind(kind)) },
      make: (play, signer, time, edit) => {
        const said = {
          origin: pins.origin,
          seen: signer === "operator" || BROKER.includes(signer) ? SEEN : null,
          ...payload(play, time),
          ...edit,
        } as unknown as Payload<K>;
        return signDocument(crypto, signers[signer], kind, said) as unknown as AnyDocument;
      },
    });
  }

  /** The honest play. */
  play(): Play {
    const play = new Play();
    for (const part of this.parts) play.filed.push(fileOf(part, part.make(play, part.by, part.at, {}), this.rng));
    return play;
  }
}

export const fileOf = ({ label, by, at, isLeaf, isAside }: Part, document: AnyDocument, rng: Rng): Filed => ({
  ...{ label, by, document, at, isLeaf, isAside, isPending: false },
  salt: KIND_TABLE[document.kind].public ? "" : rng.hex(32),
});

/** The log as its broker shows it, with other leaves between, and what of it a receipt has. */
export function receiptOf(cast: Cast, lease: string, filed: readonly Filed[], { seed = 1 }: { seed?: number } = {}): Receipt {
  const { crypto, pins, signers } = cast;
  const rng = new Rng(seed);
  const leaves: Uint8Array[] = [];
  const placed = filed
    .filter(({ isAside }) => !isAside)
    .map((each) => {
      for (let others = rng.below(3); others > 0; others--) leaves.push(crypto.sha256(utf8(`other ${leaves.length} ${seed}`)));
      const leaf = leafHashOf(crypto, each.document, each.at, each.salt);
      if (each.isPending) return { each, leaf, index: null };
      return { each, leaf, index: leaves.push(fromHex(leaf) ?? new Uint8Array()) - 1 };
    });
  const log = smallLog(crypto, leaves);
  const stored = ({ each, leaf, index }: (typeof placed)[number]): ReceiptDocument => ({
    ...{ kind: each.document.kind, id: each.document.id, envelope: each.document.envelope, at: each.at, salt: each.salt, leaf, index },
    proof: index === null ? [] : log.proofOf(index),
  });
  return {
    ...{ format: "xenoservers-receipt-1", lease, market: pins },
    documents: placed.filter(({ each }) => !each.isLeaf).map(stored),
    leaves: placed.filter(({ each }) => each.isLeaf).map(stored),
    checkpoint: signCheckpoint(crypto, signers.checkpoints, { origin: logOrigin(pins.origin, EPOCH), size: log.size, root: log.root }),
    size: log.size,
  };
}

export const digestOf = (cast: Cast, text: string): string => toHex(cast.crypto.sha256(utf8(text)));
