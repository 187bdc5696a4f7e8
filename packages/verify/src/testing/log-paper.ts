/** Logs on paper: epochs of a market's log with whatever leaves, checkpoints, proofs and the broker's word on each, without a broker. */
import {
  bytesOfHex,
  leafBytes,
  leafHash,
  leafHashOf,
  logOrigin,
  rootOfLeaves,
  signCheckpoint,
  signDocument,
  toHex,
  utf8,
  type Envelope,
  type Kind,
  type LogState,
  type MarketHistory,
  type MarketPins,
  type Payload,
  type Place,
  type Signer,
} from "@xenoservers/protocol";
import type { Cast } from "./cast.ts";
import { smallLog } from "./merkle.ts";

type Signed = ReturnType<typeof signDocument>;

/** One epoch of a log: its document is its first leaf. */
export class PaperEpoch {
  readonly cast: Cast;
  readonly id: string;
  readonly at: number;
  readonly document: Signed;
  /** The bytes behind each leaf; a commitment's are of nobody's concern. */
  readonly bytes: Uint8Array[] = [];
  readonly #hashes: string[] = [];

  constructor(cast: Cast, id: string, previous: LogState | null, at = 1_000) {
    this.cast = cast;
    this.id = id.repeat(16);
    this.at = at;
    const own = { epoch: this.id, previous, reason: "", at };
    this.document = this.say("receipts", "epoch", own);
    this.log(this.document, "", at);
  }

  /** As the broker says it in this epoch. */
  say<K extends Kind>(by: "orders" | "receipts" | "operator", kind: K, own: Omit<Payload<K>, "origin" | "seen">): Signed {
    const { crypto, pins, signers } = this.cast;
    const seen = { epoch: this.id, size: 0, root: "00".repeat(32) };
    return signDocument(crypto, signers[by], kind, { ...own, origin: pins.origin, seen } as unknown as Payload<K>) as unknown as Signed;
  }

  log(document: Signed, salt = "5".repeat(64), at = this.at): void {
    const { crypto } = this.cast;
    this.leaf(leafHashOf(crypto, document, at, salt), leafBytes(crypto, document, at, salt));
  }

  /** Accepted at this time; nobody knows what. */
  filler(at: number, what: string): Uint8Array {
    const bytes = utf8(JSON.stringify({ at, what }));
    this.leaf(toHex(leafHash(this.cast.crypto, bytes)), bytes);
    return bytes;
  }

  leaf(hash: string, bytes: Uint8Array): void {
    this.#hashes.push(hash);
    this.bytes.push(bytes);
  }

  get hashes(): readonly string[] {
    return this.#hashes;
  }

  /** As it was at this size. */
  state(size = this.#hashes.length): LogState {
    const root = rootOfLeaves(this.cast.crypto, this.#hashes.slice(0, size).map(bytesOfHex));
    return { epoch: this.id, size, root: toHex(root) };
  }

  note(size = this.#hashes.length, by: Signer = this.cast.signers.checkpoints, root = this.state(size).root): string {
    return signCheckpoint(this.cast.crypto, by, { origin: logOrigin(this.cast.pins.origin, this.id), size, root });
  }

  /** Of a document that was logged with the salt of `log`. */
  place(document: Signed, size = this.#hashes.length, salt = "5".repeat(64)): Place {
    const index = this.#hashes.indexOf(leafHashOf(this.cast.crypto, document, this.at, salt));
    const log = smallLog(this.cast.crypto, this.#hashes.slice(0, size).map(bytesOfHex));
    return { checkpoint: this.note(size), at: this.at, salt, index, proof: log.proofOf(index) };
  }
}

/** The broker's keys, in somebody's name. */
export const keySetOf = ({ crypto, pins }: Cast, by: Signer, keys: MarketPins["keys"] = pins.keys): Envelope =>
  signDocument(crypto, by, "market-keys", { origin: pins.origin, seen: null, keys, sequence: 1 }).envelope;

export const historyOf = (cast: Cast, epochs: readonly PaperEpoch[], witnesses: readonly Envelope[] = []): MarketHistory => ({
  keySets: [keySetOf(cast, cast.signers.operator)],
  epochs: epochs.map(({ document, at }) => ({ envelope: document.envelope, at })),
  witnesses: [...witnesses],
});
