/** The one port through which anything is hashed, signed or drawn at random. Keys and hashes travel as lowercase hex. */
export interface Crypto {
  sha256(bytes: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array;
  /** Ed25519 (RFC 8032). False for any malformed key or signature; never throws. */
  verify(publicKey: string, message: Uint8Array, signature: Uint8Array): boolean;
  randomBytes(length: number): Uint8Array;
}

export interface Signer {
  /** 32 bytes, hex. */
  readonly publicKey: string;
  sign(message: Uint8Array): Uint8Array;
}
