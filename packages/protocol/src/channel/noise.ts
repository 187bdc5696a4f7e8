/**
 * The handshake Noise_IK_25519_ChaChaPoly_BLAKE2b (noiseprotocol.org, revision 34): who begins knows the other's static key, and shows its
 * own. Two messages:
 *
 *   -> e, es, s, ss, payload
 *   <- e, ee, se, payload
 *
 * Each text in it is sealed under a key of its own, so that the nonce is always the first. Who controls the inputs: of the first message
 * anyone, of the second whoever is in between, every byte.
 */
import { channelCrypto } from "#system";
import { concatBytes, utf8 } from "../bytes.ts";
import { TAG_BYTES, type ChannelKeyPair } from "../system/system.ts";

const NAME = "Noise_IK_25519_ChaChaPoly_BLAKE2b";
const HASH_BYTES = 64;
const KEY_BYTES = 32;
/** No message of Noise is longer. */
const MESSAGE_BYTES_MAX = 65_535;
const FIRST_NONCE = new Uint8Array(12);
const NOTHING = new Uint8Array(0);

/** The key of each direction, under the names that the first program of this protocol gave them: one seals with `rx`. */
export interface DirectionKeys {
  readonly rx: Uint8Array;
  readonly tx: Uint8Array;
}

/** What both sides have seen and made, in the same order. */
class Symmetric {
  #hash = new Uint8Array(HASH_BYTES);
  #chaining: Uint8Array;
  #key: Uint8Array = NOTHING;

  constructor(prologue: Uint8Array) {
    this.#hash.set(utf8(NAME));
    this.#chaining = this.#hash.slice();
    this.mixHash(prologue);
  }

  mixHash(bytes: Uint8Array): void {
    this.#hash = new Uint8Array(channelCrypto.blake2b(concatBytes(this.#hash, bytes)));
  }

  #derive(input: Uint8Array): [Uint8Array, Uint8Array] {
    const base = channelCrypto.hmacBlake2b(this.#chaining, input);
    const first = channelCrypto.hmacBlake2b(base, Uint8Array.of(1));
    return [first, channelCrypto.hmacBlake2b(base, concatBytes(first, Uint8Array.of(2)))];
  }

  /** Throws where the public key adds nothing. */
  mixKey(own: ChannelKeyPair, other: Uint8Array): void {
    const [chaining, key] = this.#derive(channelCrypto.sharedSecret(own.secretKey, other));
    this.#chaining = chaining;
    this.#key = key.slice(0, KEY_BYTES);
  }

  seal(plain: Uint8Array): Uint8Array {
    const sealed = new Uint8Array(plain.length + TAG_BYTES);
    channelCrypto.seal(sealed, plain, this.#hash, FIRST_NONCE, this.#key);
    this.mixHash(sealed);
    return sealed;
  }

  /** Throws where it is not the other's. */
  open(sealed: Uint8Array): Uint8Array {
    const plain = new Uint8Array(sealed.length - TAG_BYTES);
    channelCrypto.open(plain, sealed, this.#hash, FIRST_NONCE, this.#key);
    this.mixHash(sealed);
    return plain;
  }

  split(): [Uint8Array, Uint8Array] {
    const [first, second] = this.#derive(NOTHING);
    return [first.slice(0, KEY_BYTES), second.slice(0, KEY_BYTES)];
  }
}

/** Throws where the message has no room for its fixed parts. */
function partsOf(message: Uint8Array, ...lengths: number[]): Uint8Array[] {
  const fixed = lengths.reduce((sum, length) => sum + length, 0);
  if (message.length < fixed + TAG_BYTES || message.length > MESSAGE_BYTES_MAX) throw new Error("no handshake has that length");
  let at = 0;
  return [...lengths, message.length - fixed].map((length) => message.subarray(at, (at += length)));
}

/** The side that begins. `hello`, then `finish`. */
export class NoiseInitiator {
  readonly #own: ChannelKeyPair;
  readonly #other: Uint8Array;
  readonly #passing = channelCrypto.keyPair();
  readonly #state: Symmetric;

  constructor(own: ChannelKeyPair, other: Uint8Array, prologue: Uint8Array) {
    this.#own = own;
    this.#other = other;
    this.#state = new Symmetric(prologue);
    this.#state.mixHash(other);
  }

  hello(payload: Uint8Array): Uint8Array {
    this.#state.mixHash(this.#passing.publicKey);
    this.#state.mixKey(this.#passing, this.#other);
    const shown = this.#state.seal(this.#own.publicKey);
    this.#state.mixKey(this.#own, this.#other);
    return concatBytes(this.#passing.publicKey, shown, this.#state.seal(payload));
  }

  /** Throws where the answer is not by the other's key. */
  finish(message: Uint8Array): { payload: Uint8Array; keys: DirectionKeys } {
    const [passing = NOTHING, sealed = NOTHING] = partsOf(message, KEY_BYTES);
    this.#state.mixHash(passing);
    this.#state.mixKey(this.#passing, passing);
    this.#state.mixKey(this.#own, passing);
    const payload = this.#state.open(sealed);
    const [tx, rx] = this.#state.split();
    return { payload, keys: { rx, tx } };
  }
}

/** The side that answers. */
export class NoiseResponder {
  readonly #own: ChannelKeyPair;
  readonly #state: Symmetric;
  #passing: Uint8Array = NOTHING;
  #other: Uint8Array = NOTHING;

  constructor(own: ChannelKeyPair, prologue: Uint8Array) {
    this.#own = own;
    this.#state = new Symmetric(prologue);
    this.#state.mixHash(own.publicKey);
  }

  /** Throws where it is no beginning. Whose key it shows is for the caller to judge, before it answers. */
  hear(message: Uint8Array): { payload: Uint8Array; other: Uint8Array } {
    const [passing = NOTHING, shown = NOTHING, sealed = NOTHING] = partsOf(message, KEY_BYTES, KEY_BYTES + TAG_BYTES);
    this.#state.mixHash(passing);
    this.#state.mixKey(this.#own, passing);
    const other = this.#state.open(shown);
    this.#state.mixKey(this.#own, other);
    const payload = this.#state.open(sealed);
    [this.#passing, this.#other] = [passing, other];
    return { payload, other };
  }

  answer(payload: Uint8Array): { message: Uint8Array; keys: DirectionKeys } {
    const passing = channelCrypto.keyPair();
    this.#state.mixHash(passing.publicKey);
    this.#state.mixKey(passing, this.#passing);
    this.#state.mixKey(passing, this.#other);
    const message = concatBytes(passing.publicKey, this.#state.seal(payload));
    const [rx, tx] = this.#state.split();
    return { message, keys: { rx, tx } };
  }
}
