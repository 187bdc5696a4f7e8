/**
 * What a platform gives besides the crypto port: hashes that go on, what a lease's channel is made of, and questions over HTTP. Each
 * platform has its own (node.ts, web.ts), chosen by the conditions in this package's `imports` and `exports`; all pass one contract.
 */

/** SHA-256 of what has come so far. */
export interface RunningHash {
  update(bytes: Uint8Array): void;
  /** More may come after it. */
  digest(): Uint8Array;
}

export interface ChannelKeyPair {
  publicKey: Uint8Array;
  secretKey: Uint8Array;
}

/** The primitives of Noise_IK_25519_ChaChaPoly_BLAKE2b. */
export interface ChannelCrypto {
  /** An X25519 key pair; from a secret of 32 bytes or fresh. */
  keyPair(secretKey?: Uint8Array): ChannelKeyPair;
  /** Throws where the public key adds nothing (RFC 7748, section 6.1) or is none. */
  sharedSecret(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array;
  /** 64 bytes. */
  blake2b(bytes: Uint8Array): Uint8Array;
  hmacBlake2b(key: Uint8Array, bytes: Uint8Array): Uint8Array;
  /** ChaCha20-Poly1305 (RFC 8439): `into` has 16 bytes more than `plain`, and is other memory. */
  seal(into: Uint8Array, plain: Uint8Array, also: Uint8Array | null, nonce: Uint8Array, key: Uint8Array): void;
  /** Throws where it was not sealed so. `into` has 16 bytes less than `sealed`; it then holds nothing of use. */
  open(into: Uint8Array, sealed: Uint8Array, also: Uint8Array | null, nonce: Uint8Array, key: Uint8Array): void;
}

/** What is asked over HTTP. */
export interface Question {
  method?: string;
  headers?: Record<string, string>;
  body?: string | null;
  signal?: AbortSignal;
}

/** What a `Response` is here: its bytes are read once. */
export interface Answer {
  readonly ok: boolean;
  readonly status: number;
  text(): Promise<string>;
  json(): Promise<unknown>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** Rejects where nobody answers, or with the signal's reason. */
export type Ask = (url: URL, question?: Question) => Promise<Answer>;

export const TAG_BYTES = 16;
