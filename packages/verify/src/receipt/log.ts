/**
 * Whether a receipt's documents are in the broker's log, each once, in the order of their times. Log facts stay claimed while too few
 * witnesses have cosigned the checkpoint. Who controls the inputs: the broker (checkpoint, proofs, times), witnesses (their lines).
 */
import {
  cosignatureOf,
  fromHex,
  parseLogOrigin,
  quorumOf,
  verifyCheckpoint,
  verifyInclusion,
  type AnyDocument,
  type Checkpoint,
  type Crypto,
  type Kind,
  type MarketPins,
  type Receipt,
  type Witness,
} from "@xenoservers/protocol";
import { claimed, failed, firstWrong, proved, type Said } from "./line.ts";
import type { Entry } from "./opened.ts";

/**
 * Changes that were made at once by several brokers may be logged in another order than they were timed, by so much. A lease's own never
 * are.
 */
const LOG_RACE_MS = 60_000;

const NO_BYTES = new Uint8Array();

function isIncluded(crypto: Crypto, { root, size }: Checkpoint, { stored }: Entry): boolean {
  const proof = stored.proof.map((hash) => fromHex(hash) ?? NO_BYTES);
  return (
    stored.index !== null && verifyInclusion(crypto, fromHex(stored.leaf) ?? NO_BYTES, stored.index, size, proof, fromHex(root) ?? NO_BYTES)
  );
}

/** Whether times never go back by more than this. */
class Clock {
  readonly #byMs: number;
  #latest = 0;
  /** The first that is timed before what came before it. */
  backdated: Kind | null = null;

  constructor(byMs: number) {
    this.#byMs = byMs;
  }

  hear({ at, document }: Entry): void {
    if (at + this.#byMs < this.#latest) this.backdated ??= document.kind;
    this.#latest = Math.max(this.#latest, at);
  }
}

/** Of the broker's own keys: who names no epoch could deny after a restore, or claim, what was said before it. */
const isBrokers = ({ keys }: MarketPins, { keyid }: AnyDocument): boolean => Object.values(keys).includes(keyid);

/** What a receipt says of the log: its documents are placed under this checkpoint. */
export type UnderCheckpoint = Pick<Receipt, "checkpoint" | "size">;

/** Hears the documents one by one, in the log's order; of any number of them the same few values are held. */
export class LogCheck {
  readonly #crypto: Crypto;
  readonly #pins: MarketPins;
  readonly #under: UnderCheckpoint;
  readonly #checkpoint: Checkpoint | null;
  readonly #log: ReturnType<typeof parseLogOrigin>;
  readonly #own = new Clock(0);
  readonly #all = new Clock(LOG_RACE_MS);
  #count = 0;
  #earlier = 0;
  #lastIndex = -1;
  #samePlace = false;
  #waiting = 0;
  readonly #waitingKinds = new Set<Kind>();
  #isWaitingProved = false;
  #nameless: Kind | null = null;
  #outside: Kind | null = null;

  constructor(crypto: Crypto, pins: MarketPins, under: UnderCheckpoint) {
    [this.#crypto, this.#pins, this.#under] = [crypto, pins, under];
    this.#checkpoint = verifyCheckpoint(crypto, pins.keys.checkpoints, under.checkpoint);
    this.#log = parseLogOrigin(this.#checkpoint?.origin ?? "");
  }

  hear(entry: Entry): void {
    const { document, index, isLeaf } = entry;
    const { kind } = document;
    const { seen } = document.payload;
    this.#count++;
    if (!isLeaf) this.#own.hear(entry);
    this.#all.hear(entry);
    if (seen !== null && seen.epoch !== this.#log?.epoch) this.#earlier++;
    if (seen === null && isBrokers(this.#pins, document)) this.#nameless ??= kind;
    if (index === null) {
      this.#waiting++;
      this.#waitingKinds.add(kind);
      this.#isWaitingProved ||= entry.stored.proof.length > 0;
      return;
    }
    this.#samePlace ||= index === this.#lastIndex;
    this.#lastIndex = index;
    if (this.#checkpoint && !isIncluded(this.#crypto, this.#checkpoint, entry)) this.#outside ??= kind;
  }

  #orderProblem(): string | null {
    if (this.#samePlace) return "two documents have one place in the log";
    const backdated = this.#own.backdated ?? this.#all.backdated;
    return backdated && `the ${backdated} document is timed before what the log has before it`;
  }

  said(witnesses: readonly Witness[]): Said {
    const { checkpoint: note, size } = this.#under;
    const [checkpoint, log, waiting] = [this.#checkpoint, this.#log, this.#waiting];
    const wrongOrder = this.#orderProblem();
    if (wrongOrder !== null) return failed(wrongOrder);
    if (this.#isWaitingProved) return failed("a document without a place in the log has a proof of it");
    if (waiting === this.#count && note === "" && size === 0) return claimed("the log is still empty: nothing is in it yet");
    if (!checkpoint) return failed("the checkpoint is not signed by the broker's pinned log key");
    const wrong = firstWrong([
      [log?.market === this.#pins.origin && checkpoint.size === size, "the checkpoint is of another log or size"],
      [this.#nameless === null, `the ${this.#nameless} document does not say in which epoch of the log its broker signed it`],
      [this.#outside === null, `the ${this.#outside} document's proof does not lead to the checkpoint's root`],
    ]);
    if (wrong !== null) return failed(wrong);
    const rest = waiting > 0 ? `; ${waiting} not in the log yet: ${[...this.#waitingKinds].join(", ")}` : "";
    // one key under two names is one witness
    const keys = witnesses.filter((witness) => cosignatureOf(this.#crypto, witness, note) !== null).map(({ key }) => key);
    const signed = new Set(keys).size;
    const cosigned = `${signed} of ${witnesses.length} pinned witnesses cosigned this checkpoint`;
    const by = witnesses.length === 0 ? "no witness is pinned here" : cosigned;
    const placed = `${this.#count - waiting} of ${this.#count} documents`;
    const restored = this.#earlier === 0 ? "" : `; ${this.#earlier} are of epochs before the last restore`;
    const says = `${placed} are in the log of ${checkpoint.size} leaves${rest}${restored}; ${by}`;
    return witnesses.length > 0 && signed >= quorumOf(witnesses.length) && waiting === 0 ? proved(says) : claimed(says);
  }
}
